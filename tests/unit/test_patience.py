"""Nobody is blamed for time in which the loop itself did not run."""

from __future__ import annotations

import asyncio
import time

import pytest

from worker.forgiving_timers import Patience, in_time


async def test_an_answer_that_came_while_the_loop_was_busy_is_in_time() -> None:
    async with asyncio.timeout(10):
        reader, writer = await _echoing()
        async with in_time(0.1):
            writer.write(b"x")
            await asyncio.sleep(0.02)  # the other side needs the loop to answer
            time.sleep(0.5)  # noqa: ASYNC251 - what keeps the loop from running
            assert await reader.readexactly(1) == b"x"
        writer.close()


async def test_who_does_not_answer_is_given_up() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with in_time(0.1):
            await asyncio.Event().wait()
    assert time.monotonic() - began < 5


async def test_what_is_over_calls_nobody() -> None:
    called = asyncio.Event()
    Patience(0.01, called.set).cancel()
    async with in_time(1):
        await asyncio.sleep(0.05)
    assert not called.is_set()


async def _echoing() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(1))
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    return await asyncio.open_connection(*server.sockets[0].getsockname()[:2])

"""A broker that keeps its lines alive and answers nothing else keeps no worker from its end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from yarl import URL

from devtools.proxy import through
from devtools.stack import Stack
from devtools.waiting import wait_until

_HEADER_BYTES = 7
_METHOD, _HEARTBEAT = 1, 8
_CLOSE_OK = b"\x00\x0a\x00\x33"
"""Class and method of connection.close-ok."""


@asynccontextmanager
async def silent_on_channels(url: str) -> AsyncIterator[str]:
    """The URL of a line to the broker of `url` by which it opens connections and sends heartbeats.
    What it says on a channel, and that a connection is closed, does not come through: so it is when
    a node of a cluster waits for another one.
    """
    target = URL(url)
    tasks: set[asyncio.Task[None] | None] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        far_reader, far_writer = await asyncio.open_connection(target.host, target.port)
        with suppress(OSError, asyncio.IncompleteReadError):
            await asyncio.gather(_pass_all(reader, far_writer), _pass_some(far_reader, writer))
        for one in (writer, far_writer):
            one.transport.abort()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield through(url, server.sockets[0].getsockname()[1])
        for task in tasks:
            if task is not None:
                task.cancel()


async def _pass_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while said := await reader.read(65_536):
        writer.write(said)
    raise asyncio.IncompleteReadError(b"", 1)


async def _pass_some(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        header = await reader.readexactly(_HEADER_BYTES)
        rest = await reader.readexactly(int.from_bytes(header[3:], "big") + 1)
        is_of_connection = header[1:3] == b"\0\0"
        is_close_ok = header[0] == _METHOD and rest.startswith(_CLOSE_OK)
        if header[0] == _HEARTBEAT or (is_of_connection and not is_close_ok):
            writer.write(header + rest)


@pytest.mark.timeout(180)
async def test_a_worker_ends(broker_url: str, namespace: str) -> None:
    async with silent_on_channels(broker_url) as url, Stack(url, namespace) as stack:
        stack.add_integration("shop")
        worker = stack.start_worker()
        await wait_until(lambda: "broker.unreachable" in stack.log_text(), "a try to be over", 60)
        worker.send_signal(signal.SIGTERM)
        await wait_until(lambda: worker.poll() is not None, "the end of the worker", 45)
        assert worker.returncode == 0
        lines = stack.log_text().splitlines()
        assert "worker.stopped" in lines[-1], lines
        assert all(line.startswith("{") for line in lines)  # nothing is complained of

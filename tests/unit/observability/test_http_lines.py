"""Whoever holds or drips on the HTTP port keeps no probe out and takes no files."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp
import pytest
import uvloop

from devtools.waiting import wait_until
from worker.observability.http_server import (
    LINE_SECONDS,
    MAX_LINES,
    REQUEST_BYTES,
    ObservabilityServer,
)
from worker.observability.metrics import Metrics

MOST_SECONDS = 5
"""A probe waits a second by default, on a machine that does nothing else."""
PATHS = ("/healthz", "/readyz", "/metrics")
HALF = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    """The worker runs on uvloop, which accepts connections by rules of its own."""
    policy: asyncio.AbstractEventLoopPolicy = request.param()
    return policy


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = ObservabilityServer(Metrics(), list, list, lambda: None)
    yield await server.start("127.0.0.1", 0)
    await server.stop()


def files_open() -> int:
    return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))


async def seconds_of(port: int, path: str) -> float:
    started = time.monotonic()
    async with aiohttp.request("GET", f"http://127.0.0.1:{port}{path}") as reply:
        assert reply.status == 200
        await reply.read()
    return time.monotonic() - started


@contextmanager
def held(
    port: int, number: int, first: bytes, source: str = "127.0.0.2"
) -> Iterator[list[socket.socket]]:
    """Connections that say `first` and no more."""
    lines: list[socket.socket] = []
    try:
        for _ in range(number):
            line = socket.socket()
            line.bind((source, 0))
            line.setblocking(False)
            line.connect_ex(("127.0.0.1", port))
            lines.append(line)
        yield lines
    finally:
        for line in lines:
            line.close()


async def say(line: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(line, data)


@pytest.mark.parametrize(
    "first", [b"", HALF, b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n"]
)
async def test_the_probes_answer_beside_connections_that_never_end_their_request(
    port: int, first: bytes
) -> None:
    with held(port, 4 * MAX_LINES, first) as lines:
        before = files_open()
        for line in lines:
            try:
                await say(line, first)
            except OSError:
                continue  # displaced
        for path in PATHS:
            assert await seconds_of(port, path) < MOST_SECONDS
        assert files_open() <= before + MAX_LINES + 8


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
async def test_the_probes_answer_while_ever_more_connections_come_in(
    port: int, source: str
) -> None:
    with ExitStack() as stack:
        for path in PATHS * 3:
            stack.enter_context(held(port, MAX_LINES, b"", source))
            assert await seconds_of(port, path) < MOST_SECONDS


@pytest.mark.parametrize(
    ("first", "more"),
    [
        (b"GET /", b"a" * 1_000),
        (b"GET / HTTP/1.1\r\nX: ", b"a" * 1_000),
        (b"GET / HTTP/1.1\r\n", b"X: y\r\n" * 100),
        (b"POST /healthz HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n", b"a" * 1_000),
    ],
)
async def test_a_request_without_end_is_cut_off_after_few_bytes(
    port: int, first: bytes, more: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = first
    writer.write(first)
    while not reader.at_eof() and len(said) < 50 * REQUEST_BYTES:
        try:
            writer.write(more)
            said += more
            await writer.drain()
            await asyncio.wait_for(reader.read(4096), 0.05)
        except TimeoutError:
            continue
        except ConnectionError:
            break
    assert len(said) < 2 * REQUEST_BYTES
    writer.close()


async def test_a_sender_of_a_byte_now_and_then_is_cut_off(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    started = time.monotonic()
    writer.write(HALF)
    while not reader.at_eof():
        try:
            writer.write(b"x")
            await asyncio.wait_for(reader.read(1), 0.2)
        except TimeoutError:
            continue
        except ConnectionError:
            break
        assert time.monotonic() - started < LINE_SECONDS + 2
    assert LINE_SECONDS - 0.5 < time.monotonic() - started < LINE_SECONDS + 2
    writer.close()


async def test_an_answer_ends_its_connection(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
    said = await asyncio.wait_for(reader.read(), 1)
    assert said.count(b"HTTP/1.1 200") == 1
    assert b"Connection: close" in said
    writer.close()


async def test_who_holds_the_most_is_displaced_and_not_who_holds_one(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with held(port, 2 * MAX_LINES, b""):
        await seconds_of(port, "/healthz")
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await asyncio.wait_for(reader.read(), 1)
    writer.close()


async def test_what_is_no_http_fills_no_log(port: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        for said in (b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"GET /" + b"x" * 9000):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            assert b"400" in await asyncio.wait_for(reader.read(), 2)
            writer.close()
    assert caplog.records == []


async def test_lines_that_ended_leave_no_file_open(port: int) -> None:
    before = files_open()
    for _ in range(3 * MAX_LINES):
        await seconds_of(port, "/healthz")

    async def is_back() -> bool:
        return files_open() <= before

    await wait_until(is_back, "all closed")

"""Connections of the door: those without a request make room for others, and none drips."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

import pytest
import uvloop
from aiohttp import web

from devtools.waiting import wait_until
from worker.door.lines import Lines

MOST = 5
MOST_BYTES = 20_000
REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    """The door runs on uvloop, whose transports have ways of their own."""
    policy: asyncio.AbstractEventLoopPolicy = request.param()
    return policy


class Serving(NamedTuple):
    """A server whose requests are answered once `may_answer` is set."""

    port: int
    lines: Lines
    may_answer: asyncio.Event


@asynccontextmanager
async def serving(seconds: float = 30.0) -> AsyncIterator[Serving]:
    may_answer = asyncio.Event()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        line = lines.of(request.protocol)
        assert line is not None
        line.begin()
        await may_answer.wait()
        line.end(is_whole=request.content.is_eof())
        return web.Response()

    server = web.Server(handle, access_log=None)
    lines = Lines(server, seconds, MOST_BYTES, MOST)
    listener = await asyncio.get_running_loop().create_server(lines, "127.0.0.1", 0)
    try:
        yield Serving(listener.sockets[0].getsockname()[1], lines, may_answer)
    finally:
        listener.close()
        lines.stop()
        may_answer.set()
        await server.shutdown(1)


@contextmanager
def held(port: int, number: int, source: str) -> Iterator[list[socket.socket]]:
    """Connections that say nothing."""
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


async def _status(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
    return head.split()[1]


async def test_idle_connections_of_the_greediest_address_make_room() -> None:
    async with serving() as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(REQUEST)
        await wait_until(lambda: len(one.lines) == 1, "the first connection")
        with held(one.port, MOST * 4, "127.0.0.2"):
            await wait_until(lambda: len(one.lines) == MOST, "all places are taken")
            second, other = await asyncio.open_connection("127.0.0.1", one.port)
            other.write(REQUEST)
            one.may_answer.set()
            assert await _status(reader) == b"200"
            assert await _status(second) == b"200"
            assert len(one.lines) <= MOST
        writer.close()
        other.close()


async def test_headers_that_drip_are_answered_and_an_idle_connection_stays() -> None:
    async with serving(seconds=0.5) as one:
        one.may_answer.set()
        idle, idle_writer = await asyncio.open_connection("127.0.0.1", one.port)
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(REQUEST[:20])
        assert await _status(reader) == b"408"
        assert (await reader.read()).startswith(b'{"error":"too-slow"')
        idle_writer.write(REQUEST)
        assert await _status(idle) == b"200"
        for each in (writer, idle_writer):
            each.close()


async def test_who_sends_more_than_a_request_may_have_is_cut_off() -> None:
    async with serving() as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(REQUEST.replace(b": 0", b": 10000000"))
        writer.write(b"x" * 1_000_000)
        with pytest.raises(ConnectionError):
            await reader.readexactly(1)
        await wait_until(lambda: len(one.lines) == 0, "the end of the connection")
        writer.close()


async def test_a_stop_closes_what_is_idle_and_nothing_else() -> None:
    async with serving() as one:
        busy, busy_writer = await asyncio.open_connection("127.0.0.1", one.port)
        busy_writer.write(REQUEST)
        idle, idle_writer = await asyncio.open_connection("127.0.0.1", one.port)
        await wait_until(lambda: len(one.lines) == 2, "both connections")
        await wait_until(lambda: one.lines.under_way == 1, "the request")
        one.lines.stop()
        assert await idle.read() == b""
        one.may_answer.set()
        assert await _status(busy) == b"200"
        for each in (busy_writer, idle_writer):
            each.close()

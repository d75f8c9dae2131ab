"""Connections of the door: those without a request make room for others, and none drips."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
import uvloop
from aiohttp import web

from devtools.waiting import wait_until
from tests.unit.held_connections import held
from worker.door.answers import TOO_SLOW
from worker.serving.http_connections import Line, Lines

MOST = 5
MOST_BYTES = 20_000
REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
OF_A_STRANGER = b"POST /unproven HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
UNWANTED_BODY = b"x" * 3 * MOST_BYTES
UNWANTED = b"POST /unwanted HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(UNWANTED_BODY)


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
    unproven: list[bytes]
    """Bodies that were read before credentials."""
    unwanted: list[web.BaseRequest]
    """Requests whose bodies were not read before they were answered."""


@asynccontextmanager
async def serving(seconds: float = 30.0) -> AsyncIterator[Serving]:
    may_answer = asyncio.Event()
    unproven: list[bytes] = []
    unwanted: list[web.BaseRequest] = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        line = lines.of(request.protocol)
        assert line is not None
        line.begin(request.content)
        try:
            is_unwanted = request.path == "/unwanted"
            if request.path == "/unproven":
                with line.reading_unproven():
                    unproven.append(await request.content.read())
            if is_unwanted:
                unwanted.append(request)
            else:
                await may_answer.wait()
            response = web.Response(status=413 if is_unwanted else 200)
        except ConnectionResetError:
            response = web.Response(status=400)
        line.end(is_whole=request.content.is_eof())
        if line.is_half_closed:
            response.force_close()
        return response

    server = web.Server(handle, access_log=None)
    lines = Lines(server, seconds, MOST_BYTES, TOO_SLOW, MOST)
    listener = await asyncio.get_running_loop().create_server(lines, "127.0.0.1", 0)
    try:
        yield Serving(listener.sockets[0].getsockname()[1], lines, may_answer, unproven, unwanted)
    finally:
        listener.close()
        lines.stop()
        may_answer.set()
        await server.shutdown(1)


async def _status(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
    return head.split()[1]


def _has_ended(line: socket.socket) -> bool:
    try:
        return line.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


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


async def test_bodies_that_are_read_before_credentials_make_room_and_lock_nobody_out() -> None:
    async with serving() as one:
        with held(one.port, MOST, "127.0.0.2", OF_A_STRANGER) as strangers:
            await wait_until(lambda: one.lines.under_way == MOST, "all places are taken")
            reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
            writer.write(REQUEST)
            await wait_until(lambda: one.lines.under_way == MOST, "the request")
            await wait_until(lambda: _has_ended(strangers[0]), "the oldest one makes room")
            one.may_answer.set()
            assert await _status(reader) == b"200"
        writer.close()


async def test_a_body_that_is_whole_keeps_its_connection_until_it_is_answered() -> None:
    async with serving() as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(OF_A_STRANGER)
        await wait_until(lambda: one.lines.under_way == 1, "the request")
        writer.write(b"x" * 100)
        await wait_until(lambda: one.unproven == [b"x" * 100], "the body")
        with held(one.port, MOST * 4, "127.0.0.2"):
            await wait_until(lambda: len(one.lines) == MOST, "all places are taken")
            one.may_answer.set()
            assert await _status(reader) == b"200"
        writer.close()


async def test_a_network_of_ipv6_is_one_address_of_connections() -> None:
    def protocol() -> asyncio.Protocol:
        return asyncio.Protocol()

    lines = Lines(protocol, 30.0, MOST_BYTES, TOO_SLOW, MOST)
    mine = [Line(protocol(), lines) for _ in range(2)]
    theirs = [Line(protocol(), lines) for _ in range(MOST - 2)]
    for one in mine:
        lines.opened(one, "2001:db8:1::1")
    for number, one in enumerate(theirs):
        lines.opened(one, f"2001:db8:2::{number:x}")
    lines.opened(Line(protocol(), lines), "2001:db8:2::ffff")
    assert lines.of(theirs[0].inner) is None
    assert all(lines.of(one.inner) is one for one in (*mine, *theirs[1:]))
    lines.stop()


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


async def test_who_sends_no_more_is_answered_all_the_same() -> None:
    async with serving() as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(REQUEST)
        writer.write_eof()
        await wait_until(lambda: one.lines.under_way == 1, "the request")
        one.may_answer.set()
        assert await _status(reader) == b"200"
        assert await reader.read() == b"", "and the connection ends"
        writer.close()


@pytest.mark.parametrize("body", [b"", b"x" * 99])
async def test_who_sends_no_more_in_the_midst_of_a_body_is_told_at_once(body: bytes) -> None:
    async with serving() as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(OF_A_STRANGER + body)
        writer.write_eof()
        assert await _status(reader) == b"400"
        await wait_until(lambda: len(one.lines) == 0, "the end of the connection")
        writer.close()


async def test_who_sends_no_more_in_the_midst_of_headers_is_told_in_time() -> None:
    async with serving(seconds=0.5) as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(REQUEST[:20])
        writer.write_eof()
        assert await _status(reader) == b"408"
        writer.close()


@asynccontextmanager
async def _after_an_unwanted_body(
    one: Serving, following: bytes = b""
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection whose first request was answered from its head; then its body was read, and
    dropped. What is `following` was sent in one go with that.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
    writer.write(UNWANTED)
    assert await _status(reader) == b"413"
    writer.write(UNWANTED_BODY + following)
    await wait_until(one.unwanted[0].content.is_eof, "the body to be read")
    yield reader, writer
    writer.close()


@pytest.mark.parametrize("pieces", [1, 2], ids=["at once", "after it"])
async def test_after_a_body_that_was_not_wanted_the_next_request_may_come_in_pieces(
    pieces: int,
) -> None:
    async with serving() as one:
        one.may_answer.set()
        head_at_once = OF_A_STRANGER if pieces == 1 else b""
        async with _after_an_unwanted_body(one, head_at_once) as (reader, writer):
            if not head_at_once:
                writer.write(OF_A_STRANGER)
            await wait_until(lambda: one.lines.under_way == 1, "the next request")
            writer.write(b"x" * 100)
            assert await _status(reader) == b"200"
            assert one.unproven == [b"x" * 100]


async def test_after_a_body_that_was_not_wanted_the_next_head_may_not_drip() -> None:
    async with serving(seconds=0.5) as one, _after_an_unwanted_body(one) as (reader, writer):
        writer.write(REQUEST[:20])
        assert await _status(reader) == b"408"


async def test_after_a_body_that_was_not_wanted_the_next_request_is_bounded_again() -> None:
    async with serving() as one, _after_an_unwanted_body(one) as (reader, writer):
        writer.write(REQUEST.replace(b": 0", b": 10000000"))
        writer.write(b"x" * 1_000_000)
        with pytest.raises(ConnectionError):
            await reader.readexactly(1)

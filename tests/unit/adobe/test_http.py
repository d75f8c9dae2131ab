"""How HTTP is spoken: bounded bodies, no redirects, no cookies, no text of foreign errors."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web

from tests.unit.adobe.server import serving
from worker.adobe.clock_offset import ClockOffset
from worker.adobe.endpoints import EndpointPolicy
from worker.adobe.http_client import MAX_BODY_BYTES, ExchangeFailed, exchange, open_session

LOCAL = EndpointPolicy(("127.0.0.1",), True)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session(LOCAL, 2) as opened:
        yield opened


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param(0, 0, id="empty"),
        pytest.param(100, 100, id="small"),
        pytest.param(MAX_BODY_BYTES, MAX_BODY_BYTES, id="at the bound"),
        pytest.param(MAX_BODY_BYTES * 3, MAX_BODY_BYTES, id="over the bound"),
    ],
)
async def test_no_more_of_a_body_is_kept_than_the_bound(
    session: aiohttp.ClientSession, sent: int, kept: int
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=b"x" * sent)

    async with serving(answer) as url:
        for _ in range(2):  # whatever became of the first connection, the next call works
            assert len((await exchange(session, "GET", url)).body) == kept


async def test_a_body_without_an_end_is_cut_off(session: aiohttp.ClientSession) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 8192)

    async with serving(answer) as url:
        assert len((await exchange(session, "GET", url)).body) == MAX_BODY_BYTES


async def test_a_compressed_body_is_bounded_by_what_it_unpacks_to(
    session: aiohttp.ClientSession,
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        packed = gzip.compress(b"x" * (MAX_BODY_BYTES * 50))
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    async with serving(answer) as url:
        assert len((await exchange(session, "GET", url)).body) == MAX_BODY_BYTES


async def test_redirects_are_not_followed_and_cookies_not_kept(
    session: aiohttp.ClientSession,
) -> None:
    asked: list[tuple[str, str | None]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.path, request.headers.get("Cookie")))
        headers = {"Location": "/elsewhere", "Set-Cookie": "a=b"}
        return web.Response(status=307, headers=headers)

    async with serving(answer) as url:
        replies = [await exchange(session, "POST", f"{url}/x", data=b"{}") for _ in range(2)]
    assert [reply.status for reply in replies] == [307, 307]
    assert asked == [("/x", None), ("/x", None)]


async def test_an_answer_that_does_not_come_in_time_is_a_timeout() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "10"})
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    async with serving(answer) as url, open_session(LOCAL, 0.2) as session:
        with pytest.raises(ExchangeFailed) as failed:
            await exchange(session, "GET", url)
    assert failed.value.error == "timeout"


async def test_a_body_that_cannot_be_unpacked_is_a_failed_connection(
    session: aiohttp.ClientSession,
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=b"plain", headers={"Content-Encoding": "gzip"})

    async with serving(answer) as url:
        with pytest.raises(ExchangeFailed) as failed:
            await exchange(session, "GET", url)
    assert failed.value.error == "connection-failed"
    assert failed.value.detail == "the reply broke off, or could not be unpacked"


class _Closing:
    """Answers the first request of each connection, and closes it at the second one."""

    def __init__(self, together: int = 1, last_words: bytes = b"") -> None:
        self.requests = 0
        self._together = asyncio.Barrier(together)
        self._last_words = last_words

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for turn in range(2):
            try:
                await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            self.requests += 1
            if turn == 0:
                if self.requests <= self._together.parties:
                    await self._together.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            else:
                writer.write(self._last_words)
            await writer.drain()
        writer.close()


async def test_a_kept_alive_line_that_was_closed_costs_no_attempt(
    session: aiohttp.ClientSession,
) -> None:
    closing = _Closing()
    server = await asyncio.start_server(closing.serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for _ in range(4):
            reply = await exchange(session, "POST", url)
            assert reply.body == b"ok"
    assert closing.requests > 4, "some of them met a closed line first"


async def test_when_every_kept_alive_line_was_closed_the_next_request_takes_a_new_one(
    session: aiohttp.ClientSession,
) -> None:
    closing = _Closing(together=5)
    server = await asyncio.start_server(closing.serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*(exchange(session, "POST", url) for _ in range(5)))
        assert (await exchange(session, "POST", url)).body == b"ok"
    assert closing.requests == 5 + 2, "one on a closed line, one on a new one"


async def test_a_line_that_ends_within_the_head_of_a_reply_is_not_asked_again(
    session: aiohttp.ClientSession,
) -> None:
    """The request was answered: it may have been taken."""
    closing = _Closing(last_words=b"HTTP/1.1 200")
    server = await asyncio.start_server(closing.serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await exchange(session, "POST", url)
        with pytest.raises(ExchangeFailed):
            await exchange(session, "POST", url)
    assert closing.requests == 2


async def test_a_fresh_line_that_is_closed_is_a_failure_and_not_asked_again(
    session: aiohttp.ClientSession,
) -> None:
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(ExchangeFailed):
            await exchange(session, "POST", url)
    assert asked == 1


async def test_257_hanging_requests_of_one_customer_keep_nobody_from_the_same_host() -> None:
    hanging = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/hangs":
            await hanging.wait()
        return web.Response(text="ok")

    async with serving(answer) as url, open_session(LOCAL, 30) as session:
        waiting = [
            asyncio.create_task(exchange(session, "GET", f"{url}/hangs")) for _ in range(257)
        ]
        async with asyncio.timeout(10):
            assert (await exchange(session, "GET", f"{url}/well")).body == b"ok"
        assert not any(one.done() for one in waiting)
        hanging.set()
        await asyncio.gather(*waiting)


async def test_the_date_of_each_reply_is_told_to_the_clock() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(headers={"Date": "Thu, 01 Jan 2026 12:00:00 GMT"})

    noon = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
    clock = ClockOffset(lambda: noon - 600)
    async with serving(answer) as url, open_session(LOCAL, 2, clock) as session:
        for _ in range(3):
            await exchange(session, "GET", url)
    assert clock.seconds == 600

"""A body that is malformed ends its request at once, whatever the other side does then."""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest
from aiohttp import ClientPayloadError

from devtools.waiting import wait_until
from tests.integration.tls import make_certificate
from tests.unit.adobe.test_written import Serve, listening, send
from worker.adobe.endpoints import EndpointPolicy
from worker.adobe.http_client import ExchangeFailed, exchange, open_session
from worker.adobe.reply_counts import ReplyCounts
from worker.adobe.response_bounds import line_of_rest

LOCAL = EndpointPolicy(("127.0.0.1",), True)
LONG_SECONDS = 60.0
"""Far more than a test takes that does not wait for its request's whole time."""
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
DEFLATED = b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n"
SHORT = zlib.compress(b'{"xactionId": "1:2:3"}')[:-4]
LARGE = zlib.compress(b"x" * 3_000_000)[:-4]


def _chunks(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def _sized(body: bytes) -> bytes:
    return DEFLATED + b"Content-Length: %d\r\n\r\n" % len(body)


BODIES = [
    pytest.param(CHUNKED, b"zz\r\n", id="a size that is none"),
    pytest.param(CHUNKED + b"2\r\n", b"{}}}\r\n0\r\n\r\n", id="a chunk longer than its size"),
    pytest.param(CHUNKED + b"2\r\n{}\r\n", b"-1\r\n", id="a second size that is none"),
    pytest.param(CHUNKED + b"2\r\n{}\r\n0\r\n", b" :\r\n\r\n", id="a trailer that is none"),
    pytest.param(_sized(SHORT), SHORT, id="packed and cut off"),
    pytest.param(_sized(LARGE), LARGE, id="packed and cut off, large"),
    pytest.param(_sized(LARGE) + LARGE, b"", id="packed and cut off, large, with its head"),
    pytest.param(
        DEFLATED + b"Transfer-Encoding: chunked\r\n\r\n",
        _chunks(SHORT),
        id="packed and cut off, in chunks",
    ),
    pytest.param(
        DEFLATED + b"Transfer-Encoding: chunked\r\n\r\n",
        _chunks(LARGE),
        id="packed and cut off, large and in chunks",
    ),
]


class _Heads(ReplyCounts):
    """Says when the head of the reply has been read."""

    def __init__(self) -> None:
        super().__init__()
        self.read = asyncio.Event()

    def came(self, status: int) -> None:
        super().came(status)
        self.read.set()


def _answering(
    head: bytes, rest: bytes, before_rest: Callable[[], Awaitable[object]], *, closes: bool
) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        cast("asyncio.Transport", writer.transport).pause_reading()  # no farewell is answered
        writer.write(head)
        await before_rest()
        writer.write(rest)
        if closes:
            writer.close()
        else:
            await asyncio.Event().wait()

    return serve


async def _ask(url: str, replies: ReplyCounts, ended: asyncio.Event | None = None) -> str:
    """How the request fails; not before the line has `ended`."""
    async with open_session(LOCAL, LONG_SECONDS, replies=replies) as session:
        async with asyncio.timeout(10):
            with pytest.raises(ExchangeFailed) as failed:
                await exchange(session, "POST", url, data=b"{}", max_body_bytes=10_000_000)
            if ended is not None:
                await ended.wait()
    return failed.value.error


def _relaying(port: int, ended: asyncio.Event) -> Serve:
    """Passes everything on to that port, and notes when the other side has ended the line."""

    async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while part := await source.read(65_536):
                target.write(part)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        answering = asyncio.create_task(pass_on(far_reader, writer))
        await pass_on(reader, far_writer)
        ended.set()
        answering.cancel()
        far_writer.transport.abort()
        writer.close()

    return serve


@pytest.mark.parametrize(("head", "rest"), BODIES)
@pytest.mark.parametrize("closes", [False, True])
async def test_a_malformed_body_is_a_failed_connection(
    head: bytes, rest: bytes, closes: bool
) -> None:
    heads = _Heads()
    async with listening(_answering(head, rest, heads.read.wait, closes=closes)) as url:
        assert await _ask(url, heads) == "connection-failed"


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Of a server that sessions trust."""
    certificate, key = make_certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=certificate)
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


@pytest.mark.parametrize(("head", "rest"), BODIES)
async def test_a_malformed_body_by_tls_waits_for_no_farewell(
    head: bytes, rest: bytes, context: ssl.SSLContext
) -> None:
    heads, ended = _Heads(), asyncio.Event()
    serve = _answering(head, rest, heads.read.wait, closes=False)
    async with (
        await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server,
        listening(_relaying(server.sockets[0].getsockname()[1], ended)) as relay_url,
    ):
        url = relay_url.replace("http:", "https:")
        assert await _ask(url, heads, ended if rest else None) == "connection-failed"


@pytest.mark.parametrize("turns", range(6))
async def test_it_is_so_whenever_the_malformed_part_comes(turns: int) -> None:
    """In one piece with the head, or in any turn of the event loop after it."""

    async def some_turns() -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    async with listening(_answering(CHUNKED, b"zz\r\n", some_turns, closes=True)) as url:
        assert await _ask(url, ReplyCounts()) == "connection-failed"


async def test_it_is_so_if_the_line_has_ended_before_anybody_reads() -> None:
    head_is_read = asyncio.Event()
    async with (
        listening(_answering(CHUNKED, b"zz\r\n", head_is_read.wait, closes=True)) as url,
        open_session(LOCAL, LONG_SECONDS) as session,
        asyncio.timeout(10),
        session.post(url, data=b"{}") as response,
    ):
        head_is_read.set()
        connection = response.connection
        assert connection is not None
        await wait_until(lambda: connection.transport is None, "the line is lost")
        assert line_of_rest(response) is None
        with pytest.raises(ClientPayloadError):
            await response.content.read(1)


async def test_a_delivery_with_such_a_reply_is_unclear() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED + b"2\r\n{}\r\n" + b"zz\r\n")
        await reader.read()  # until the other side ends the line

    async with listening(serve) as url, asyncio.timeout(10):
        reply = await send(url, limit=LONG_SECONDS)
    assert (reply.error, reply.is_unclear) == ("connection-failed", True)

"""What operators are told when no reply came: what happened, and nothing of others' words."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.integration.tls import make_certificate, tls_line
from worker.adobe.endpoints import EndpointPolicy
from worker.adobe.failed_replies import sentence_of
from worker.adobe.http_client import ExchangeFailed, exchange, open_session

HIDDEN = "hush"
UNUSABLE = "the request could not be written: its URL or a header is not usable"
LOCAL = EndpointPolicy(("127.0.0.1",), True)
Speak = Callable[[asyncio.StreamWriter], None]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session(LOCAL, 10) as opened:
        yield opened


@asynccontextmanager
async def answering(speak: Speak) -> AsyncIterator[str]:
    """A server that reads the head of a request, and then does as `speak` says."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        speak(writer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/{HIDDEN}"


async def told(session: aiohttp.ClientSession, url: str, **headers: str) -> str:
    """The detail of the failure."""
    with pytest.raises(ExchangeFailed) as failed:
        await exchange(session, "GET", url, headers=headers)
    assert failed.value.error == "connection-failed"
    assert HIDDEN not in str(failed.value)
    assert "Error" not in failed.value.detail, "a name of Python's tells an operator nothing"
    return failed.value.detail


def reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side gets a reset (socket(7), SO_LINGER of no time)."""
    line = writer.get_extra_info("socket")
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    ("speak", "expected"),
    [
        pytest.param(reset, "connection reset by the other side", id="reset"),
        pytest.param(
            lambda _: None, "connection closed by the other side before a reply", id="closed"
        ),
        pytest.param(
            lambda writer: writer.write(b"SSH-2.0-hush\r\n"),
            "what came was no reply of HTTP",
            id="another protocol",
        ),
        pytest.param(
            lambda writer: writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhush"),
            "the reply broke off, or could not be unpacked",
            id="half a body",
        ),
    ],
)
async def test_a_line_that_fails(
    session: aiohttp.ClientSession, speak: Speak, expected: str
) -> None:
    async with answering(speak) as url:
        assert await told(session, url) == expected


async def test_nobody_listens(session: aiohttp.ClientSession) -> None:
    detail = await told(session, f"http://127.0.0.1:1/{HIDDEN}")
    assert detail == "connection refused: nothing listens there, or a firewall says so"


@pytest.mark.parametrize("url", ["http://hush:port/", "hush", ""])
async def test_a_url_that_is_none(session: aiohttp.ClientSession, url: str) -> None:
    assert await told(session, url) == UNUSABLE


async def test_a_header_that_is_none(session: aiohttp.ClientSession) -> None:
    async with answering(lambda _: None) as url:
        assert await told(session, url, key="hush\r\nx: y") == UNUSABLE


async def test_a_certificate_that_is_not_trusted(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with (
        answering(lambda _: None) as url,
        tls_line(url, *make_certificate(tmp_path)) as port,
    ):
        detail = await told(session, f"https://127.0.0.1:{port}/{HIDDEN}")
    assert detail == "TLS certificate not accepted: unknown, expired, or another's"


async def test_a_port_that_speaks_no_tls(session: aiohttp.ClientSession) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 hush\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        detail = await told(session, f"https://127.0.0.1:{port}/{HIDDEN}")
    assert detail == "TLS could not be agreed upon with the other side"


async def test_a_name_that_nobody_has(session: aiohttp.ClientSession) -> None:
    """Names below `.invalid` resolve to nothing (RFC 6761)."""
    assert await told(session, "http://hush.invalid/") == "the host's name is not resolved"


async def test_a_name_that_leads_into_a_private_network() -> None:
    async with open_session(EndpointPolicy(("localhost",)), 10) as session:
        detail = await told(session, f"http://localhost:1/{HIDDEN}")
    assert detail == "the host's name leads to a private address, which is not allowed"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.EHOSTUNREACH, HIDDEN), "no route to the host"),
        (OSError(errno.EMFILE, HIDDEN), "this worker has no more files to open"),
        (aiohttp.ClientOSError(errno.EPIPE, HIDDEN), "connection closed by the other side"),
        (OSError(HIDDEN), "the connection broke"),
        (aiohttp.ClientError(HIDDEN), "the connection broke"),
    ],
)
def test_what_no_server_here_can_show(error: Exception, expected: str) -> None:
    assert sentence_of(error).startswith(expected)
    assert HIDDEN not in sentence_of(error)

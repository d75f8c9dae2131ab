"""A reply without end is cut off before it costs others time, whatever it is made of."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.unit.adobe.test_written import ACCEPTED, listening
from worker.adobe.endpoints import EndpointPolicy
from worker.adobe.http_client import ExchangeFailed, exchange, open_session

LOCAL = EndpointPolicy(("127.0.0.1",), True)
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
MOST_CPU_SECONDS = 3
"""Of one reply on a slow machine. Without the bounds each of these takes as long as it comes."""


@pytest.mark.parametrize(
    ("first", "again"),
    [
        pytest.param(b"", b"HTTP/1.1 103 E\r\n\r\n", id="interim replies"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\n", id="interim, with headers"),
        pytest.param(b"", b"HTTP/1.1 102 P\n\n", id="interim, without carriage returns"),
        pytest.param(b"", b"\r\n", id="empty lines before the head"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n", id="headers"),
        pytest.param(HEAD, b"1\r\nx\r\n", id="chunks of a byte"),
        pytest.param(HEAD, b"1\nx\n", id="chunks without carriage returns"),
        pytest.param(HEAD + b"5;", b"a=b;", id="an extension of a chunk"),
        pytest.param(HEAD + b"0\r\n", b"A: b\r\n", id="trailers"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", b"x", id="a body until the line ends"),
        pytest.param(b"HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n", b"x", id="another protocol"),
    ],
)
async def test_a_reply_without_end_is_cut_off(first: bytes, again: bytes) -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(first)
        portion = again * (200_000 // len(again))
        while True:
            writer.write(portion)
            sent += len(portion)
            await writer.drain()

    began = time.thread_time()
    async with listening(flood) as url, open_session(LOCAL, 20.0) as session:
        try:
            async with asyncio.timeout(10):
                await exchange(session, "POST", f"{url}/x", data=b"{}")
        except ExchangeFailed as failed:
            assert failed.error == "connection-failed"
    # The server is in this thread, too, and so is what the kernel holds.
    assert time.thread_time() - began < MOST_CPU_SECONDS
    assert sent < 20_000_000


async def test_what_comes_on_an_idle_line_ends_it_and_takes_no_room() -> None:
    lines = 0

    async def talks_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal lines
        lines += 1
        await reader.readuntil(b"{}")
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(ACCEPTED)}\r\n\r\n".encode()
        writer.write(head + ACCEPTED)
        while lines == 1:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n" * 10_000)
            await writer.drain()

    async with listening(talks_on) as url, open_session(LOCAL, 20.0) as session:
        for _ in range(2):
            async with asyncio.timeout(10):
                reply = await exchange(session, "POST", f"{url}/x", data=b"{}")
            assert reply.body == ACCEPTED
            lines = max(lines, 1)
            await asyncio.sleep(0)


async def test_a_long_reply_to_a_large_batch_is_read_whole() -> None:
    body = b'{"responses": [' + b",\n".join([ACCEPTED] * 10_000) + b"]}"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        head = f"HTTP/1.1 207 M\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" + head + body)

    async with listening(answer) as url, open_session(LOCAL, 20.0) as session:
        reply = await exchange(session, "POST", url, data=b"{}", max_body_bytes=len(body))
    assert reply.body == body


async def test_the_bounds_begin_anew_with_each_request_on_a_line() -> None:
    body = b" " * 60_000 + ACCEPTED

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"{}")
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    async with listening(answers) as url, open_session(LOCAL, 20.0) as session:
        for _ in range(30):
            assert (await exchange(session, "POST", url, data=b"{}")).body == body

"""What comes to the console from anybody: slow, malformed, half a request. It costs others nothing,
is answered in the console's own words, and fills no log.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from yarl import URL

from devtools.waiting import wait_until
from tests.unit.console.console_parts import (
    VIEWER,
    RunningConsole,
    fill,
    running_console,
    usual_receipts,
)
from tests.unit.held_connections import held
from tests.unit.ledger.ledger_file import LedgerFile
from worker.console import guard, request_times

MOST = 8
LOGIN = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n"
SLOW_LOGIN = LOGIN % b"application/x-www-form-urlencoded" + b"Content-Length: 1000\r\n\r\nk"


@pytest.fixture
async def small(tmp_path: Path, ledger: LedgerFile) -> AsyncIterator[RunningConsole]:
    fill(ledger, usual_receipts())
    bounds = {"most_lines": MOST, "head_seconds": 0.5}
    async with running_console(tmp_path, bounds=bounds) as console:
        yield console


async def said_to(port: int, raw: bytes, *, ends: bool = False) -> bytes:
    """All that is answered to these bytes, until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    if ends:
        writer.write_eof()
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    return answer


def request(head: bytes, path: bytes = b"/", host: bytes = b"localhost") -> bytes:
    """A whole request that asks for the end of the connection."""
    return b"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n" % (path, host, head)


async def test_bodies_that_drip_keep_nobody_out_and_write_no_line(small: RunningConsole) -> None:
    with (
        structlog.testing.capture_logs() as lines,
        held(small.port, 4 * MOST, "127.0.0.2", SLOW_LOGIN),
    ):
        await small.sign_in()
        assert (await small.get("/")).status == 200
    assert [one["event"] for one in lines] == ["console.signed_in"]


async def test_a_stream_lives_on_while_others_make_room(small: RunningConsole) -> None:
    await small.sign_in()
    async with small.http.get(small.url + "/live") as live:
        assert await live.content.readline() == b"event: beat\n"
        with held(small.port, 4 * MOST, "127.0.0.2", SLOW_LOGIN):
            assert (await small.get("/healthz")).status == 200
            while await live.content.readline() != b"event: beat\n":
                pass  # of five seconds later


async def test_what_is_too_slow_is_told_so(
    small: RunningConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_times, "OPEN_BODY_SECONDS", 0.2)
    for raw in (SLOW_LOGIN, SLOW_LOGIN[:30]):
        answer = await said_to(small.port, raw)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"Content-Security-Policy: default-src 'none'" in answer
        assert b"\r\nServer: consent-worker\r\n" in answer


async def test_who_sends_no_more_is_answered_and_leaves_no_stream(small: RunningConsole) -> None:
    assert (await said_to(small.port, request(b"", b"/login"), ends=True)).startswith(
        b"HTTP/1.1 200"
    )
    answer = await said_to(small.port, SLOW_LOGIN, ends=True)
    assert answer.startswith(b"HTTP/1.1 400"), "in the midst of a body"
    await small.sign_in()
    cookies = small.http.cookie_jar.filter_cookies(URL(small.url))
    cookie = cookies["consent-console"].value.encode()
    live = request(b"Cookie: consent-console=%s\r\n" % cookie, b"/live")
    async with asyncio.timeout(10):
        assert b"text/event-stream" in await said_to(small.port, live, ends=True)


def _chunked(body: bytes) -> bytes:
    return b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize(
    ("form", "status"),
    [
        (_chunked(b"key=" + VIEWER.encode()), b"303"),
        (_chunked(b"key=" + b"x" * 20_000), b"413"),
        (b"Content-Length: 20000\r\n\r\n" + b"x" * 20_000, b"413"),
    ],
)
async def test_of_a_stranger_no_large_form_is_read(
    small: RunningConsole, form: bytes, status: bytes
) -> None:
    head = LOGIN % b"application/x-www-form-urlencoded" + b"Connection: close\r\n"
    assert (await said_to(small.port, head + form)).split()[1] == status


@pytest.mark.parametrize(
    "raw",
    [
        b"no request at all\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Secret: lena\x00hush\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nlena hush\r\n\r\n",
        b"GET /?q=hush HTTP/9.9\r\n\r\n",
        b"POST /login HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: hush\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"hush" * 5_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01hush",
    ],
)
async def test_what_is_no_request_is_told_so_with_all_headers_and_no_word_of_it(
    small: RunningConsole, raw: bytes
) -> None:
    with structlog.testing.capture_logs() as lines:
        answer = await said_to(small.port, raw)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ") or head.startswith(b"HTTP/1.0 400 ")
    for header in (
        b"Content-Security-Policy: default-src 'none'",
        b"X-Frame-Options: DENY",
        b"Cache-Control: no-store",
        b"Server: consent-worker",
    ):
        assert header in head
    assert b"aiohttp" not in answer
    assert b"hush" not in body
    assert lines == []


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(request(b"Cookie: consent-console=\xe9\r\n"), id="cookie"),
        pytest.param(request(b"Cookie: consent-console=" + "é".encode() + b"\r\n"), id="UTF-8"),
        pytest.param(request(b"Cookie: __Host-consent-console=\xff\r\n", host=b"x"), id="host's"),
        *(
            pytest.param(request(b"Cookie: consent-console=x\r\n", host=host), id=repr(host))
            for host in (
                *(b"localhost:abc", b":99999", b"localhost:70000", b"\xff\xfe", b"[::1", b"a b"),
                *("\u202e".encode(), b"", b"@", b"/", b"localhost:-1", b"\xe9:8090"),
            )
        ),
        pytest.param(request(b"", b"/\xff\xfe"), id="path"),
        pytest.param(request(b"", b"/%ff%00%ed%a0%80"), id="escapes"),
        pytest.param(request(b"", b"/login?next=%ff\xff"), id="query"),
        pytest.param(request(b"HX-Request: \xff\r\nAccept: \xff\r\n"), id="headers"),
    ],
)
async def test_whatever_anybody_sends_nothing_fails(small: RunningConsole, raw: bytes) -> None:
    with structlog.testing.capture_logs() as lines:
        answer = await said_to(small.port, raw)
    assert answer.split()[1] in (b"200", b"303", b"400", b"404"), answer[:300]
    assert lines == []


async def test_a_proxy_that_misleads_is_told_of_once_a_minute(
    tmp_path: Path, ledger: LedgerFile
) -> None:
    fill(ledger, usual_receipts())
    proxy: dict[str, Any] = {
        "console_proxy_address": "127.0.0.1",
        "console_proxy_header": "X-Console-User",
    }
    async with running_console(tmp_path, **proxy) as console:
        wrong = {"X-Console-User": "emperor lena"}
        with structlog.testing.capture_logs() as lines:
            for _ in range(20):
                assert (await console.get("/", headers=wrong)).status == 403
        assert [(one["event"], one["times"]) for one in lines] == [("console.proxy_misleads", 1)]


@pytest.mark.parametrize(
    "kind", [b"application/x-www-form-urlencoded", b"multipart/form-data", b"x"]
)
async def test_a_body_that_is_cut_writes_no_line(
    small: RunningConsole, caplog: pytest.LogCaptureFixture, kind: bytes
) -> None:
    raw = LOGIN % (kind + b"; boundary=a") + b"Content-Length: 1000\r\n\r\n--a\r\nk"
    with structlog.testing.capture_logs() as lines:
        for ends in (True, False):
            _, writer = await asyncio.open_connection("127.0.0.1", small.port)
            writer.write(raw)
            if ends:
                writer.write_eof()
            await wait_until(lambda: len(small.lines) == 1, "the connection")
            writer.transport.abort()
            await wait_until(lambda: len(small.lines) == 0, "the end of the connection")
    assert {one["event"] for one in lines} <= {"console.key_refused"}
    assert caplog.records == []


async def test_a_fault_beside_all_pages_is_answered_and_told_without_its_text(
    small: RunningConsole, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("of lena")

    monkeypatch.setattr(guard, "_page", fail)
    await small.sign_in()
    trouble = await small.get("/nowhere")
    assert (trouble.status, trouble.headers["Server"]) == (500, "consent-worker")
    assert trouble.text == "The console has failed at this request.\n"
    assert "ValueError" in caplog.text
    assert "lena" not in caplog.text

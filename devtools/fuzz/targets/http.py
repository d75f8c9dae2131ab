"""The port of health and metrics: whatever comes by a connection, it ends and is let go of."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any, Final

from devtools.fuzz.target import Target
from devtools.fuzz.values import below, cuts, pick, pieces, spoiled, text
from worker.observability.http_server import BoundedLines, ObservabilityServer
from worker.observability.metrics import Metrics

_METHODS: Final = ("GET", "GET", "GET", "HEAD", "POST", "get", "PRI", "", "G\x00T", "OPTIONS")
_VERSIONS: Final = ("HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/9", "")
_PATHS: Final = (
    *("/healthz", "/readyz", "/metrics", "/", "*", "http://x/healthz", "/%00", "//", "/../healthz"),
    *("/healthz?a=b", "/h%ff", "[", "/" + "a" * 5_000, ""),
)
_HEADERS: Final = (
    *("Host: x", "Content-Length: 0", "Content-Length: 5", "Content-Length: -1", "X", ": x", " : "),
    *("Transfer-Encoding: chunked", "Connection: keep-alive", "Expect: 100-continue", "A: \x00"),
    *("Upgrade: websocket", "Content-Length: 99999999999999999999", "Content-Encoding: gzip"),
)
_TURNS: Final = 12
"""Of the event loop, in which a request is answered."""

Case = tuple[bytes, list[int]]


def make(r: Random) -> Case:
    """What a client sends, and where it is cut."""
    lines = [
        f"{pick(r, _METHODS)} {pick(r, _PATHS)} {pick(r, ('HTTP/1.1', 'HTTP/1.0', 'HTTP/9', ''))}"
    ]
    for _ in range(below(r, 5)):
        lines.append(pick(r, _HEADERS) if r.random() < 0.8 else text(r))
    end = pick(r, ("\r\n", "\r\n", "\n"))
    data = (end.join(lines) + end + end).encode(errors="surrogatepass") + pick(
        r, (b"", b"5\r\nhello\r\n0\r\n\r\n", b"hello", b"\x1f\x8b")
    )
    if r.random() < 0.4:
        data = spoiled(r, data)
    return data, cuts(r, len(data))


def check(case: Case) -> None:
    """See the module."""
    data, edges = case
    _PORT.serve(pieces(data, edges))


class _Wire(asyncio.Transport):
    """A connection in memory."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 5)})
        self.answer = bytearray()
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.answer += data

    def writelines(self, list_of_data: Any) -> None:
        self.answer += b"".join(list_of_data)

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def pause_reading(self) -> None:
        """Nothing is read here."""

    resume_reading = pause_reading

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is buffered here."""


class _Port:
    """The server in a loop of its own, made by the process that first needs it."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._complaints: list[dict[str, Any]] = []

    def serve(self, parts: list[bytes]) -> None:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._loop.set_exception_handler(lambda _, told: self._complaints.append(told))
            self._lines = self._loop.run_until_complete(_start())
        self._complaints.clear()
        answer = self._loop.run_until_complete(self._exchange(parts))
        assert not self._complaints, self._complaints[0].get("message")
        assert answer.startswith(b"HTTP/") or not answer, "no answer of HTTP"
        assert b" 500 " not in answer[:20], "the server's own fault"
        assert not len(self._lines), "a connection that is never let go of"

    async def _exchange(self, parts: list[bytes]) -> bytes:
        wire = _Wire()
        line = self._lines()
        line.connection_made(wire)
        for part in parts:
            if not wire.is_closed:
                line.data_received(part)
                await asyncio.sleep(0)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        if not wire.is_closed:
            line.eof_received()
        line.connection_lost(None)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        return bytes(wire.answer)


async def _start() -> BoundedLines:
    server = ObservabilityServer(Metrics(), lambda: [], lambda: ["a note"], lambda: None)
    await server.start("127.0.0.1", 0)
    await asyncio.sleep(0)
    runner = server._runner
    assert runner is not None
    assert runner.server is not None
    return BoundedLines(runner.server)


_PORT: Final = _Port()
TARGETS: Final = (Target("http", make, check, share=2),)

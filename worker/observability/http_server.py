"""The HTTP port: /healthz (the process lives), /readyz (it can do its job), /metrics; and how many
connections it may have, for how long.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, cast

from aiohttp import web
from aiohttp.http import HttpProcessingError
from prometheus_client import CollectorRegistry

from worker.listening_ports import HTTP, listening
from worker.observability.exposition import exposition

MAX_LINES = 128
"""Connections open at once: far above what probes need, far below the limit of files."""

LINE_SECONDS = 5.0
"""How long a connection lives, from its start to the last byte of the answer."""

REQUEST_BYTES = 16_384
"""What a connection may send: probes and Prometheus send a few hundred bytes, and what is read has
to be kept until the request is complete."""

ACCEPTED_AT_ONCE = 32
"""Connections accepted in one go: below `MAX_LINES`, so that a request that came with its
connection is read before newer connections can displace it."""

WAITING_TO_BE_ACCEPTED = 512
"""Connections that the kernel keeps meanwhile. Of one too many it drops the first packet, which is
sent again after a second: too late for a probe."""


class BoundedLines:
    """Bounds an HTTP server's connections: a factory for `create_server`, around the server's own.

    There is no waiting for room, which would let who holds all connections lock out the probes: a
    connection too many displaces the oldest one of the address that holds the most.
    """

    def __init__(
        self,
        factory: Callable[[], asyncio.Protocol],
        most: int = MAX_LINES,
        seconds: float = LINE_SECONDS,
    ) -> None:
        self._factory = factory
        self._most = most
        self._seconds = seconds
        self._open: dict[_Line, str] = {}  # oldest first

    def __call__(self) -> asyncio.Protocol:
        return _Line(self._factory(), self)

    def __len__(self) -> int:
        """Connections that are open now."""
        return len(self._open)

    def opened(self, line: _Line, address: str) -> asyncio.TimerHandle:
        """Count a connection, displace another if there are too many, and set its end."""
        self._open[line] = address
        if len(self._open) > self._most:
            (greediest, _), *_ = Counter(self._open.values()).most_common(1)
            oldest = next(one for one, holder in self._open.items() if holder == greediest)
            self.closed(oldest)
            oldest.abort()
        return asyncio.get_running_loop().call_later(self._seconds, line.abort)

    def closed(self, line: _Line) -> None:
        self._open.pop(line, None)


class _Line(asyncio.Protocol):
    """One connection; what comes goes to the HTTP server's own protocol."""

    def __init__(self, inner: asyncio.Protocol, lines: BoundedLines) -> None:
        self._inner = inner
        self._lines = lines
        self._transport: asyncio.Transport | None = None
        self._end: asyncio.TimerHandle | None = None
        self._bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not of its classes
        peer = transport.get_extra_info("peername")
        self._inner.connection_made(transport)
        self._end = self._lines.opened(self, str(peer[0]) if peer else "")

    def abort(self) -> None:
        """Close at once: what was not sent yet is dropped."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._bytes += len(data)
        if self._bytes > REQUEST_BYTES:
            self.abort()
        else:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        if self._end is not None:
            self._end.cancel()
        self._lines.closed(self)
        self._inner.connection_lost(error)


async def listen(lines: Callable[[], asyncio.Protocol], host: str, port: int) -> asyncio.Server:
    """Serve connections of `lines` at `host` and `port`. Raises OSError when the port is taken."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lines, host, port, backlog=ACCEPTED_AT_ONCE)
    for one in server.sockets:
        # asyncio has one number for both: here the kernel gets its own.
        with socket.socket(fileno=os.dup(one.fileno())) as same:
            same.listen(WAITING_TO_BE_ACCEPTED)
    return server


_OF_CLIENTS = HttpProcessingError, ConnectionError, web.RequestPayloadError
Sentences = Callable[[], list[str]]
_MAX_LINE_BYTES = 4096  # of the request line and of each header


class Metered(Protocol):
    """Metrics that are to be scraped."""

    registry: CollectorRegistry


class ObservabilityServer:
    """Serves health and metrics until `stop`; `problems` lists what keeps the worker from working,
    and `notes` what keeps an integration from it. A connection serves one request, then closes.
    """

    def __init__(
        self,
        metrics: Metered,
        problems: Sentences,
        notes: Sentences,
        refresh: Callable[[], None],
    ) -> None:
        self._metrics = metrics
        self._problems = problems
        self._notes = notes
        self._refresh = refresh
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen for probes and scrapes; the port, a free one for 0. Raises `PortUnusable`."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._health),
                web.get("/readyz", self._ready),
                web.get("/metrics", self._scrape),
            ]
        )
        app.on_response_prepare.append(_close_afterwards)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=quiet_logger(__name__),
            lingering_time=0,
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_LINE_BYTES,
        )
        await self._runner.setup()
        server = self._runner.server
        if server is None:
            raise RuntimeError("the HTTP server was not set up")
        with listening(host, port, HTTP):
            self._listener = await listen(BoundedLines(server), host, port)
        return int(self._listener.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._listener is not None:
            self._listener.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _ready(self, _request: web.Request) -> web.Response:
        problems = self._problems()
        status = 503 if problems else 200
        document = {"ready": not problems, "problems": problems, "notes": self._notes()}
        return web.json_response(document, status=status)

    async def _scrape(self, request: web.Request) -> web.StreamResponse:
        """Between two slices everybody else has a turn."""
        self._refresh()
        headers, parts = exposition(
            self._metrics.registry,
            ",".join(request.headers.getall("Accept", [])),
            ",".join(request.headers.getall("Accept-Encoding", [])),
        )
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        with suppress(ConnectionError):  # whoever hangs up meanwhile is no error of ours
            for part in parts:
                if part:  # to write nothing would end it
                    await response.write(part)
                await asyncio.sleep(0)
        return response


async def _close_afterwards(_request: web.Request, response: web.StreamResponse) -> None:
    response.force_close()
    response.headers["Connection"] = "close"


def quiet_logger(name: str) -> logging.Logger:
    """The log of an HTTP server, without requests that can't be read or are cut short: whoever
    reaches the port could fill the log with them.
    """
    logger = logging.getLogger(name)
    logger.addFilter(_is_own_fault)
    return logger


def _is_own_fault(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], _OF_CLIENTS))

"""The HTTP port: /healthz (the process lives), /readyz (it can do its job), /metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiohttp import web
from aiohttp.http import HttpProcessingError
from prometheus_client import generate_latest

from worker.observability.http_connections import BoundedLines, listen
from worker.observability.metrics import Metrics

Sentences = Callable[[], list[str]]
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_MAX_LINE_BYTES = 4096  # of the request line and of each header


class ObservabilityServer:
    """Serves until `stop`; `problems` lists what keeps the worker from working, if anything, and
    `notes` what keeps an integration from it. A connection serves one request and is closed then.
    """

    def __init__(
        self,
        metrics: Metrics,
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
        """Listen and return the port, a free one when `port` is 0. Raises OSError when taken."""
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
            logger=_logger(),
            lingering_time=0,
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_LINE_BYTES,
        )
        await self._runner.setup()
        server = self._runner.server
        if server is None:
            raise RuntimeError("the HTTP server was not set up")
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

    async def _scrape(self, _request: web.Request) -> web.Response:
        self._refresh()
        return web.Response(
            body=generate_latest(self._metrics.registry), headers={"Content-Type": _METRICS_TYPE}
        )


async def _close_afterwards(_request: web.Request, response: web.StreamResponse) -> None:
    response.force_close()
    response.headers["Connection"] = "close"


def _logger() -> logging.Logger:
    """The log of the HTTP server, without requests that can't be read: whoever reaches the port
    could fill the log with them.
    """
    logger = logging.getLogger(__name__)
    logger.addFilter(_is_own_fault)
    return logger


def _is_own_fault(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))

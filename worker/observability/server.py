"""The HTTP port: /healthz (the process lives), /readyz (it can do its job), /metrics."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import generate_latest

from worker.observability.metrics import Metrics

Sentences = Callable[[], list[str]]
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class ObservabilityServer:
    """Serves until `stop`; `problems` lists what keeps the worker from working, if anything, and
    `notes` what keeps an integration from it.
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
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        address = self._runner.addresses[0]
        return int(address[1])

    async def stop(self) -> None:
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

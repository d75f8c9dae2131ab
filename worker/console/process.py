"""The console's process: runs until it is to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import structlog

from worker.adobe.check.check_integration import check_integration
from worker.adobe.check.report_lines import Line
from worker.adobe.endpoints import INSECURE
from worker.adobe.http_client import open_session
from worker.console.app import MOST_BODY_BYTES, build_app
from worker.console.context_from_settings import build_context, note_configs
from worker.console.http_server import ConsoleServer
from worker.console.running_ledger import RunningLedger
from worker.integrations.change_summary import Change
from worker.integrations.loading import InvalidIntegrations
from worker.integrations.model import Integration
from worker.interrupt import Stop
from worker.kept_running import keep_running
from worker.ledger.database import Database
from worker.ledger.ledger_from_settings import LedgerParts, build_ledger, ledger_url
from worker.letters.ledger_pass import LedgerPass
from worker.letters.pass_request import PassRequest
from worker.listening_ports import PortUnusable
from worker.service.ledger_server import ledger_server
from worker.service.pipeline_from_settings import build_client
from worker.service.registry_from_settings import endpoint_policy
from worker.settings import WorkerSettings

log = structlog.get_logger(__name__)


def tell_fault(name: str, error: Exception) -> None:
    """Log a fault of ours in what works beside the pages, while it is handled: by its type alone,
    since its text may quote an event.
    """
    log.exception("console.unexpected_error", work=name, error=type(error).__name__)


class Console:
    """Serves the console until `stop`. `runs_ledger` says whether it reads the stream into the
    ledger, too. Raises `UnusableSetting`.
    """

    def __init__(self, settings: WorkerSettings, *, runs_ledger: bool) -> None:
        self._settings = settings
        self._context = build_context(settings, self._check)
        self._server = ConsoleServer(build_app(self._context), MOST_BODY_BYTES)
        self._tasks: list[asyncio.Task[None]] = []
        self._runs_ledger = runs_ledger

    async def start(self) -> int:
        """Have the console listen, and return the port. Raises `PortUnusable`."""
        settings, integrations = self._settings, self._context.integrations
        try:
            await asyncio.to_thread(integrations.load)
        except InvalidIntegrations as trouble:
            log.warning("console.no_integrations", detail=str(trouble))
        if settings.allow_insecure:
            log.warning("settings.insecure", detail=INSECURE)
        await asyncio.to_thread(note_configs, self._context)
        port = await self._server.start(settings.console_host, settings.console_port)
        self._keep_running(
            "integrations",
            lambda: integrations.watch(settings.reload_seconds, self._note_change),
        )
        if self._runs_ledger:
            ledger = RunningLedger(
                lambda: Database(ledger_url(settings), writes=True),
                lambda database: build_ledger(settings, database),
                self._around_ledger,
            )
            self._keep_running("ledger", ledger.run)
        return port

    async def stop(self) -> None:
        """Let go of everything that the console has."""
        await self._server.stop()
        await self._context.checks.stop()
        for one in self._tasks:
            one.cancel()
        for one in self._tasks:
            with suppress(asyncio.CancelledError):
                await one
        self._context.ledger.close()
        self._context.memory.close()

    def _keep_running(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(keep_running(work, partial(tell_fault, name))))

    @asynccontextmanager
    async def _around_ledger(self, parts: LedgerParts, path: Path) -> AsyncIterator[None]:
        """As with `consent-worker ledger`, its own port, which a worker on this machine may have,
        and passes over the dead letters in the queue.
        """
        server, stop = ledger_server(parts.report), Stop()
        ledger_pass = LedgerPass(self._settings, parts.turns, parts.taking_in, stop, lambda _: None)
        comparing = asyncio.create_task(ledger_pass.run(parts.upkeep.caught_up, PassRequest(path)))
        try:
            try:
                port = await server.start(self._settings.http_host, self._settings.http_port)
                log.info("ledger.started", http_port=port)
            except PortUnusable as trouble:
                log.warning("console.ledger_unmetered", detail=str(trouble))
            yield
        finally:
            stop.ask(signal.SIGTERM)
            try:
                await comparing
            finally:
                await server.stop()

    async def _check(self, integration: Integration) -> list[Line]:
        settings = self._settings
        policy = endpoint_policy(settings)
        async with open_session(policy, settings.longest_attempt_seconds) as session:
            return await check_integration(build_client(settings, session), integration)

    def _note_change(self, change: Change) -> None:
        log.info(
            "console.integrations_changed", loaded=len(change.loaded), removed=len(change.removed)
        )
        note_configs(self._context)

"""The console's process: built from the settings, run until it is to stop."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from contextlib import suppress
from typing import Final

import structlog
from aiohttp import web

from worker.console.app import build_app
from worker.console.context import ConsoleContext
from worker.console.identity import Identity, keys_of
from worker.console.ledger_reader import LedgerReader
from worker.console.login_tries import LoginTries
from worker.console.pulse import Pulse
from worker.console.running_ledger import RunningLedger
from worker.console.sessions import Sessions
from worker.integrations.change_summary import Change
from worker.integrations.integration_registry import IntegrationRegistry
from worker.integrations.loading import InvalidIntegrations
from worker.ledger.database import Database
from worker.ledger.from_settings import build_reading, ledger_url
from worker.service.registry_from_settings import build_registry
from worker.settings import UnusableSetting, WorkerSettings

log = structlog.get_logger(__name__)

_STOP_SECONDS: Final = 2.0
_NO_KEYS: Final = (
    "the console has no key: set CONSENT_WORKER_CONSOLE_VIEWER_KEY, _OPERATOR_KEY or "
    "_REVEALER_KEY (`openssl rand -hex 32`), or _PROXY_ADDRESS and _PROXY_HEADER; without one "
    "anybody could look"
)


def check_access(settings: WorkerSettings) -> None:
    """Raises `UnusableSetting` where nobody, or not just the right people, could come in."""
    keys = keys_of(settings)
    if bool(settings.console_proxy_address) != bool(settings.console_proxy_header):
        raise UnusableSetting(
            "CONSENT_WORKER_CONSOLE_PROXY_ADDRESS and CONSENT_WORKER_CONSOLE_PROXY_HEADER belong "
            "together: set both, or none"
        )
    if len(set(keys.values())) != len(keys):
        raise UnusableSetting("CONSENT_WORKER_CONSOLE_*_KEY: two roles have the same key")
    if not keys and not settings.console_proxy_address:
        raise UnusableSetting(_NO_KEYS)


def signing_secret(settings: WorkerSettings) -> bytes:
    """By which this process signs sessions: nobody knows it, who knows a key included, and it ends
    with the process. With the keys in it no session outlives the key that it was made by.
    """
    keys = "\n".join(f"{role.word} {key}" for role, key in keys_of(settings).items())
    return hmac.new(secrets.token_bytes(32), keys.encode(), hashlib.sha256).digest()


def now_ms() -> int:
    """ms since 1970."""
    return int(time.time() * 1000)


def build_context(settings: WorkerSettings, integrations: IntegrationRegistry) -> ConsoleContext:
    """What the pages share, under these settings. Raises `UnusableSetting`."""
    check_access(settings)
    secret = signing_secret(settings)
    ledger = LedgerReader(ledger_url(settings))
    return ConsoleContext(
        settings=settings,
        ledger=ledger,
        integrations=integrations,
        identity=Identity(settings, Sessions(secret, now_ms), now_ms),
        tries=LoginTries(time.monotonic),
        pulse=Pulse(ledger, integrations, now_ms),
        secret=secret,
        now_ms=now_ms,
    )


class Console:
    """Serves until `stop`. `runs_ledger` says whether it reads the stream into the ledger, too."""

    def __init__(self, settings: WorkerSettings, *, runs_ledger: bool) -> None:
        self._settings = settings
        self._integrations = build_registry(settings)
        self._context = build_context(settings, self._integrations)
        self._runner = web.AppRunner(
            build_app(self._context), access_log=None, shutdown_timeout=_STOP_SECONDS
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._runs_ledger = runs_ledger

    async def start(self) -> int:
        """Listen and return the port. Raises OSError when it is taken."""
        settings = self._settings
        try:
            self._integrations.load()
        except InvalidIntegrations as trouble:
            log.warning("console.no_integrations", detail=str(trouble))
        await self._runner.setup()
        site = web.TCPSite(self._runner, settings.console_host, settings.console_port)
        await site.start()
        watching = self._integrations.watch(settings.reload_seconds, _note_change)
        self._tasks.append(asyncio.create_task(watching))
        if self._runs_ledger:
            ledger = RunningLedger(
                lambda: Database(ledger_url(settings), writes=True),
                lambda database: build_reading(settings, database),
            )
            self._tasks.append(asyncio.create_task(ledger.run()))
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Let go of everything."""
        await self._runner.cleanup()
        for one in self._tasks:
            one.cancel()
        for one in self._tasks:
            with suppress(asyncio.CancelledError):
                await one
        self._context.ledger.close()


def _note_change(change: Change) -> None:
    log.info("console.integrations_changed", loaded=len(change.loaded), removed=len(change.removed))

"""What the pages of the console share, built from the settings."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from worker.console.checks import Check, Checks
from worker.console.console_database import ConsoleMemory, SeenConfig
from worker.console.context import ConsoleContext
from worker.console.fleet import Fleet, changed_at
from worker.console.identity import Identity, keys_of
from worker.console.ledger_reader import LedgerReader
from worker.console.login_tries import LoginTries
from worker.console.masked_config import masked_text
from worker.console.pulse import Pulse
from worker.console.sessions import Sessions
from worker.console.traffic import KeptTraffic
from worker.ledger.ledger_from_settings import ledger_url
from worker.letters.letter_key import LetterKeys
from worker.moments import now_ms
from worker.service.registry_from_settings import build_registry
from worker.settings import UnusableSetting, WorkerSettings
from worker.store_choice import user_keys

_NO_KEYS: Final = (
    "the console has no key: set CONSENT_WORKER_CONSOLE_VIEWER_KEY, _OPERATOR_KEY or "
    "_REVEALER_KEY (`openssl rand -hex 32`), or _PROXY_ADDRESS and _PROXY_HEADER; without one "
    "anybody could look"
)


def check_access(settings: WorkerSettings) -> None:
    """Raises `UnusableSetting` where nobody, or the wrong people, could come into the console."""
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


def signing_secret(settings: WorkerSettings, kept: bytes) -> bytes:
    """The secret by which the console's sessions are signed. The `kept` bytes are what nobody
    knows, who knows a key included; with the keys in it no session outlives the key that it was
    made by.
    """
    keys = "\n".join(f"{role.word} {key}" for role, key in keys_of(settings).items())
    return hmac.new(kept, keys.encode(), hashlib.sha256).digest()


def build_context(
    settings: WorkerSettings, check: Check, now_ms: Callable[[], int] = now_ms
) -> ConsoleContext:
    """What the pages of the console share, under these settings; `check` asks Adobe, `now_ms` is
    the time in ms since 1970. Raises `UnusableSetting`.
    """
    check_access(settings)
    url = ledger_url(settings)
    ledger, integrations = LedgerReader(url), build_registry(settings)
    memory = ConsoleMemory(memory_path(url))
    kept = memory.secret()
    secret = signing_secret(settings, kept)
    traffic = KeptTraffic(ledger, now_ms)
    return ConsoleContext(
        settings=settings,
        ledger=ledger,
        integrations=integrations,
        identity=Identity(settings, Sessions(secret, now_ms, memory), now_ms),
        tries=LoginTries(time.monotonic),
        pulse=Pulse(ledger, integrations, traffic, now_ms),
        traffic=traffic,
        fleet=Fleet(integrations, traffic, now_ms),
        checks=Checks(check, now_ms),
        memory=memory,
        letter_keys=LetterKeys(user_keys(settings)),
        secret=secret,
        mask_key=hmac.new(kept, b"masks", hashlib.sha256).digest(),
        now_ms=now_ms,
    )


def memory_path(url: str) -> Path:
    """The path of the file in which the console remembers, beside the ledger."""
    ledger = Path(url.removeprefix("sqlite://"))
    return ledger.with_name(f"{ledger.name}.console")


def note_configs(context: ConsoleContext) -> None:
    """Remember the versions of all configurations that are in force."""
    integrations, now = context.integrations, context.now_ms()
    context.memory.note(
        (
            SeenConfig(
                one.id,
                one.version,
                masked_text(one, context.mask_key),
                changed_at(integrations, one.id) or now,
            )
            for one in integrations.integrations
        ),
        now,
    )

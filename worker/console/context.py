"""What the pages of the console share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

from aiohttp import web
from sqlalchemy import Connection

from worker.console.checks import Checks
from worker.console.console_database import ConsoleMemory
from worker.console.fleet import Fleet
from worker.console.identity import Identity
from worker.console.ledger_reader import LedgerReader
from worker.console.login_tries import LoginTries
from worker.console.pulse import Pulse
from worker.console.traffic import KeptTraffic
from worker.integrations.integration_registry import IntegrationRegistry
from worker.letters.letter_key import LetterKeys
from worker.settings import WorkerSettings

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class ConsoleContext:
    """What the pages of the console share: `secret` signs sessions and tokens of forms, `mask_key`
    makes the digests of masked secrets; `now_ms` is the time in ms since 1970.
    """

    settings: WorkerSettings
    ledger: LedgerReader
    integrations: IntegrationRegistry
    identity: Identity
    tries: LoginTries
    pulse: Pulse
    traffic: KeptTraffic
    fleet: Fleet
    checks: Checks
    memory: ConsoleMemory
    letter_keys: LetterKeys
    secret: bytes
    mask_key: bytes
    now_ms: Callable[[], int]

    async def query(
        self,
        function: Callable[Concatenate[Connection, Arguments], Answer],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Answer:
        """What `function` says of a connection to the ledger, asked in a thread. Raises
        `LedgerTrouble` and `UnusableLedger`, which the guard turns into a page.
        """
        return await self.ledger.query(function, *arguments, **named)


CONTEXT = web.AppKey("context", ConsoleContext)

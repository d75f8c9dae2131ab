"""What a worker learns from the state before it begins, and keeps there for the whole fleet."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import structlog

from worker.delivery.inlets.inlet_questions import InletQuestions
from worker.delivery.rounds.store_gate import StoreGate
from worker.delivery.unknown_organizations import AskFleet
from worker.integrations.state_id_needs import Standing
from worker.ordering.lasting_store import LastingStore, WrongKindOfRedis
from worker.ordering.secret_marks import SecretRefused
from worker.ordering.state_takeover import take_over
from worker.ordering.store_protocol import StoreUnavailable
from worker.service.running_parts import Parts
from worker.settings import UnusableSetting

log = structlog.get_logger(__name__)

REMEMBERED_SECONDS: Final = 86_400.0
REMEMBER_EVERY_SECONDS: Final = 60.0
"""How long, and how often told, an integration counts as one that was in force lately."""
RECALL_SECONDS: Final = 0.5
"""Between two tries to learn what the state knows; until then no event is handled."""


async def check_secret(gate: StoreGate) -> None:
    """Raises `UnusableSetting` for a secret that does not fit what is in the state, and for a URL
    that does not fit the kind of Redis. While it is away nothing is sent, and the same is asked
    when it is back.
    """
    if isinstance(gate.store, LastingStore):
        try:
            await gate.store.admit()
        except SecretRefused as refused:
            await gate.stop()
            raise UnusableSetting(f"setting CONSENT_WORKER_ORDERING_SECRET: {refused}") from None
        except WrongKindOfRedis as wrong:
            await gate.stop()
            raise UnusableSetting(f"setting CONSENT_WORKER_STATE_URL: {wrong}") from None
        except StoreUnavailable as problem:
            gate.close(problem)


class FleetMemory:
    """What the workers of a fleet know of the integrations, kept in the store behind `gate`."""

    def __init__(self, parts: Parts, gate: StoreGate, inlets: InletQuestions) -> None:
        self._parts = parts
        self._registry = parts.registry
        self._gate = gate
        self._store = gate.store
        self._inlets = inlets
        self._has_changed = asyncio.Event()

    @property
    def ask(self) -> AskFleet | None:
        """Takes over what other workers know of integrations; None where there are no others."""
        store = self._store
        is_shared = isinstance(store, LastingStore) and store.is_shared
        return self._take_over if is_shared else None

    def tell(self) -> None:
        """Other integrations are in force than before: the fleet is to know at once."""
        self._has_changed.set()

    async def recall(self) -> None:
        """Learn which integrations were in force lately, before any event is handled: one whose
        file is gone would else be passed over. And what is known of their inlets.
        """
        while not self._parts.is_stopping:
            try:
                await self._take_over()
                await self._learn_state_ids()
                await self._inlets.recall([one.state_id for one in self._registry.integrations])
            except StoreUnavailable as problem:
                self._gate.close(problem)
                await asyncio.sleep(RECALL_SECONDS)
            else:
                return

    async def share(self) -> None:
        """Share with the fleet, and with who comes after a restart, which integrations are in
        force, for ever: one whose file is gone is in doubt for a day.
        """
        registry, store = self._registry, self._store
        while True:
            try:
                await store.remember_integrations(registry.lately_in_force(), REMEMBERED_SECONDS)
                if dismissed := registry.lately_dismissed():
                    await store.remember_integrations(dismissed, 0)
                await self._take_over()
            except StoreUnavailable as problem:  # the gate tells of it where it matters
                log.debug("integrations.not_remembered", detail=str(problem))
                await asyncio.sleep(RECALL_SECONDS)
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_changed.wait(), REMEMBER_EVERY_SECONDS)
            self._has_changed.clear()

    async def _take_over(self) -> None:
        self._registry.remember(await self._store.remembered_integrations())

    async def _learn_state_ids(self) -> None:
        """Where the state of each integration is; from now on at each change as well. Raises
        `StoreUnavailable`.
        """

        async def ask(standing: Standing) -> Mapping[str, str] | None:
            try:
                return await take_over(self._store.state_ids, standing)
            except StoreUnavailable as problem:
                self._gate.close(problem)
                return None

        self._registry.ask_states = ask
        change = await self._registry.settle()
        if change is None:
            raise StoreUnavailable("it is not known where the state of each integration is")
        if self._parts.set_up is not None:
            self._parts.set_up.ask(change.loaded)

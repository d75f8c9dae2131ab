"""The gate before the state of newest-wins, and what it is asked for: while the state is away,
nothing is sent unguarded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final

import structlog

from worker.delivery.delivery import Delivery
from worker.delivery.rounds.epoch_watch import EpochWatch
from worker.fast_tuples import new_tuple
from worker.integrations.model import Integration
from worker.ordering.stamp import NEWEST_SENT, WHOLE_RECORD, newest_of
from worker.ordering.store_protocol import (
    ERASED,
    UNCLEAR,
    Claim,
    NewestStore,
    Settlement,
    StoreUnavailable,
)
from worker.transform.mapping_plan import plan_of

_ALWAYS: Final = (ERASED, UNCLEAR)


def claim_of(integration: Integration, group: list[Delivery]) -> Claim:
    """That of one user's deliveries."""
    user = group[0].user
    if integration.keeps_more:
        paths = set(plan_of(integration).by_target)
        for one in group:  # decided by the mappings of a moment ago, which may have changed
            paths |= one.choice.attributes.keys() | one.choice.absent.keys()
        return Claim(user, paths | _beside_paths(integration, group), paths)
    own: Collection[str] = group[0].choice.attributes
    if len(group) > 1:
        own = {path for one in group for path in one.choice.attributes}
    if integration.event_time_path is None:
        return new_tuple(Claim, (user, (*own, *_ALWAYS), ()))
    return Claim(user, (*own, *_ALWAYS, NEWEST_SENT))


def _beside_paths(integration: Integration, group: list[Delivery]) -> set[str]:
    users = {one.choice.didomi_user for one in group}
    names = {name for one in users if one is not None for name in newest_of(one)}
    names.update(_ALWAYS)
    if integration.replaces_record:
        names.add(WHOLE_RECORD)
    if integration.event_time_path is not None:
        names.add(NEWEST_SENT)
    return names


log = structlog.get_logger(__name__)

_PING_SECONDS = 0.5
_LONGEST_PING_SECONDS = 8.0
_STEADY_SECONDS = 10.0
"""A store that answers pings, and not what it is for, closes the gate again at once: it is asked
less and less often then, until the gate has been open for so long."""


class StoreGate:
    """`store`, and whether it can be used. Intake pauses by itself while the gate is closed: held
    messages are not given up, so the prefetch is soon used up.
    """

    def __init__(self, store: NewestStore) -> None:
        self.store = store
        self.epochs = EpochWatch(store.epochs)
        self.problem = ""
        self._on_open: list[Callable[[], None]] = []
        self._opening: asyncio.Task[None] | None = None
        self._opened_at = -_STEADY_SECONDS
        self._pause_seconds = _PING_SECONDS

    @property
    def is_open(self) -> bool:
        return not self.problem

    def when_open(self, callback: Callable[[], None]) -> None:
        """Call `callback` each time the state is back."""
        self._on_open.append(callback)

    def close(self, problem: StoreUnavailable) -> None:
        """The state is away: ask for it until it answers."""
        if self._opening is None or self._opening.done():
            log.error("ordering.unavailable", detail=str(problem))
            self.problem = str(problem)
            is_steady = time.monotonic() - self._opened_at >= _STEADY_SECONDS
            doubled = min(self._pause_seconds * 2, _LONGEST_PING_SECONDS)
            self._pause_seconds = _PING_SECONDS if is_steady else doubled
            self._opening = asyncio.create_task(self._reopen())

    async def check(self) -> None:
        """Ask the store, unless that is being done: one that is away is to be known before an event
        needs it.
        """
        if self.is_open:
            try:
                await self._ask()
            except StoreUnavailable as problem:
                self.close(problem)

    async def watch(self, every_seconds: float) -> None:
        """Check so often, for ever."""
        while True:
            await asyncio.sleep(every_seconds)
            await self.check()

    async def settle(
        self, state_id: str, settlements: Sequence[Settlement], gap_seconds: float
    ) -> None:
        """Settle, however long it takes: without that an accepted choice would be forgotten."""
        if not settlements:
            return
        while True:
            try:
                await self.store.settle(state_id, settlements, gap_seconds)
            except Exception as error:
                # A fault of ours as well: what Adobe has accepted is to be remembered, or an older
                # choice wins. Nothing more is sent until it is.
                if not isinstance(error, StoreUnavailable):
                    log.exception("ordering.unexpected_error", error=type(error).__name__)
                    error = StoreUnavailable(f"stamps can't be written ({type(error).__name__})")
                self.close(error)
                if self._opening is not None:
                    await asyncio.shield(self._opening)
            else:
                return

    async def stop(self) -> None:
        """Ask no more, and let go of the store."""
        if self._opening is not None:
            self._opening.cancel()
        if self.is_open and self.epochs.has_news:
            with suppress(StoreUnavailable):
                await self.epochs.look()
        await self.store.close()

    async def _ask(self) -> None:
        """Whether the store can be used, and whether it is still the same. Raises
        `StoreUnavailable`.
        """
        await self.store.ping()
        await self.epochs.look()

    async def _reopen(self) -> None:
        while True:
            await asyncio.sleep(self._pause_seconds)
            try:
                await self._ask()
            except StoreUnavailable as problem:
                self.problem = str(problem)
            else:
                break
        log.info("ordering.available")
        self.problem = ""
        self._opened_at = time.monotonic()
        for callback in self._on_open:
            callback()

"""The gate before the state of newest-wins, and what it is asked for: while the state is away,
nothing is sent unguarded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from worker.delivery.delivery import Delivery
from worker.delivery.rounds.epoch_watch import EpochWatch
from worker.delivery.rounds.part_gate import PartGate, tell_fault, unasked
from worker.delivery.rounds.round_lease import RoundLease
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


def claims_of(integration: Integration, groups: Sequence[list[Delivery]]) -> list[Claim]:
    """The claims of several users, each for the deliveries of one."""
    if integration.keeps_more or integration.event_time_path is not None:
        return [_claim_of(integration, group) for group in groups]
    claims: list[Claim] = []
    for group in groups:
        own: Collection[str] = group[0].choice.attributes
        if len(group) > 1:
            own = {path for one in group for path in one.choice.attributes}
        claims.append(new_tuple(Claim, (group[0].user, (*own, *_ALWAYS), ())))
    return claims


def _claim_of(integration: Integration, group: list[Delivery]) -> Claim:
    user = group[0].user
    if integration.keeps_more:
        paths = set(plan_of(integration).by_target)
        for one in group:  # decided by the mappings of a moment ago, which may have changed
            paths |= one.choice.attributes.keys() | one.choice.absent.keys()
        return Claim(user, paths | _beside_paths(integration, group), paths)
    own = {path for one in group for path in one.choice.attributes}
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


class StoreGate:
    """`store`, and which parts of it can be used. Of a single server there is one part: while its
    gate is closed intake pauses by itself, for held messages are not given up, so the prefetch is
    soon used up. While some parts of a cluster are away, those lanes stand still whose state they
    have.
    """

    def __init__(self, store: NewestStore) -> None:
        self.store = store
        self.epochs = EpochWatch(store.epochs)
        self._on_open: list[Callable[[], None]] = []
        self._gates: dict[str, PartGate] = {}
        self.closed: dict[str, PartGate] = {}
        """Those of the parts that are away: mostly none, which each event asks for."""

    @property
    def is_open(self) -> bool:
        """Whether any part of the state can be used."""
        closed = self.closed
        return not closed or any(one not in closed for one in self.store.parts)

    def is_open_for(self, state_id: str) -> bool:
        """Whether the part with the state of this integration can be used."""
        return not self.closed or self.store.part_of(state_id) not in self.closed

    @property
    def problems(self) -> list[str]:
        """What is wrong with each part of the state that is away."""
        return [gate.problem for gate in self.closed.values()]

    @property
    def problem(self) -> str:
        """What is wrong with a part of the state that is away, or empty."""
        return next(iter(self.problems), "")

    def when_open(self, callback: Callable[[], None]) -> None:
        """Call `callback` each time a part of the state is back."""
        self._on_open.append(callback)

    def close(self, problem: StoreUnavailable, state_id: str | None = None) -> None:
        """The part with the state of this integration is away, or, without one, that with what is
        of all: ask for it until it answers.
        """
        store = self.store
        self._close(store.shared_part if state_id is None else store.part_of(state_id), problem)

    async def check(self) -> None:
        """Ask the store, part by part, unless that is being done: one that is away is to be known
        before an event needs it. A fault of ours closes what can't be asked, and ends nobody.
        """
        for part in self.store.parts:
            if part not in self.closed:
                try:
                    await self.store.ping(part)
                except StoreUnavailable as problem:
                    self._close(part, problem)
                except Exception as error:
                    tell_fault(error)
                    self._close(part, unasked(error))
        if self.store.shared_part not in self.closed:
            await self._look()

    async def watch(self, every_seconds: float) -> None:
        """Check the store so often, for ever."""
        while True:
            await asyncio.sleep(every_seconds)
            try:
                await self.check()
            except Exception as error:
                tell_fault(error)

    async def settle(
        self,
        state_id: str,
        settlements: Sequence[Settlement],
        gap_seconds: float,
        lease: RoundLease | None = None,
    ) -> None:
        """Settle users in the store, however long it takes: without that an accepted choice would
        be forgotten. What is settled after its `lease` is marked as that.
        """
        if not settlements:
            return
        while True:
            is_late = False
            if lease is not None and lease.is_over:
                is_late, settlements = True, lease.marked(settlements)
            try:
                await self.store.settle(state_id, settlements, gap_seconds)
            except Exception as error:
                # A fault of ours as well: what Adobe has accepted is to be remembered, or an older
                # choice wins. Nothing more is sent until it is.
                if not isinstance(error, StoreUnavailable):
                    tell_fault(error)
                    error = StoreUnavailable(f"stamps can't be written ({type(error).__name__})")
                opening = self._close(self.store.part_of(state_id), error)
                if opening is not None:
                    await asyncio.shield(opening)
            else:
                if is_late or lease is None or not lease.is_over:
                    return

    async def stop(self) -> None:
        """Ask no more, and let go of the store."""
        for gate in self._gates.values():
            gate.stop()
        if not self.closed and self.epochs.has_news:
            with suppress(StoreUnavailable):
                await _look_at(self.epochs)
        await self.store.close()

    def _close(self, part: str, problem: StoreUnavailable) -> asyncio.Task[None] | None:
        """Close the gate of a part; what ends when it is open again."""
        gate = self._gates.get(part)
        if gate is None:
            ask, opened = partial(self._ask, part), partial(self._opened, part)
            gate = self._gates[part] = PartGate(part, ask, opened)
        self.closed[part] = gate
        gate.close(problem)
        return gate.opening

    async def _ask(self, part: str) -> None:
        """Whether a part can be used, and whether it is still the same. Raises
        `StoreUnavailable`.
        """
        await self.store.ping(part)
        if part == self.store.shared_part:
            await _look_at(self.epochs)
        else:
            await self._look()

    async def _look(self) -> None:
        try:
            await _look_at(self.epochs)
        except StoreUnavailable as problem:
            self._close(self.store.shared_part, problem)

    def _opened(self, part: str) -> None:
        self.closed.pop(part, None)
        for callback in self._on_open:
            callback()


async def _look_at(epochs: EpochWatch) -> None:
    """Raises `StoreUnavailable`. A fault of ours is told, and closes nothing: without the epochs a
    loss shows later.
    """
    try:
        await epochs.look()
    except StoreUnavailable:
        raise
    except Exception as error:
        tell_fault(error)

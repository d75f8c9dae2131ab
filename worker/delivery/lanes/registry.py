"""The lanes of all integrations: each is made when it is needed and goes when nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from worker.adobe.streaming import takes_batches
from worker.broker.intake import Intake
from worker.delivery.delivery import Delivery
from worker.delivery.lanes.lane import Lane
from worker.delivery.rounds.store_gate import StoreGate
from worker.integrations.model import Integration

PACED_SECONDS: Final = 60.0
"""Far below the broker's `consumer_timeout`, half an hour by default."""
_SWEEP_EVERY = 1024
_REBALANCE_SECONDS = 0.25


class Lanes:
    """`make` makes the lane of an integration; `park` gets what a lane has to give up."""

    def __init__(
        self,
        make: Callable[[Integration], Lane],
        park: Callable[[Lane, Delivery], None],
        gate: StoreGate,
    ) -> None:
        self._make = make
        self._park = park
        self._gate = gate
        self._crowded: set[Intake] = set()
        self._lanes: dict[str, Lane] = {}
        self._made = 0
        gate.when_open(self.pump_all)

    def __iter__(self) -> Iterator[Lane]:
        return iter(list(self._lanes.values()))

    def of(self, integration: Integration) -> Lane:
        """The lane of `integration`."""
        lane = self._lanes.get(integration.id)
        if lane is None:
            lane = self._lanes[integration.id] = self._make(integration)
            self._made += 1
            if self._made % _SWEEP_EVERY == 0:
                self._sweep()
        return lane

    def has_room_for_one_of(self, intake: Intake, lane: Lane) -> bool:
        """Whether a lane may hold one more of `intake`: within its own limits, and while it does
        not keep up, never more than a quarter of what is left free.

        The second is the dynamic threshold of shared-memory switches (Choudhury and Hahne, 1998):
        n lanes that take all they can get leave 4/(n + 4) of the room free for everyone else. A
        lane that keeps up takes nothing from others that they would not soon have back. One that
        stands still can do nothing with more than a few, and each of them keeps acknowledgements
        from covering ranges.
        """
        if not self._gate.is_open:
            return True  # intake pauses: nothing is given up, and the prefetch does the rest
        free = intake.free
        is_short = free < intake.room // 4
        if is_short:
            self._rebalance_later(intake)
        limits = lane.integration.limits
        occupied = lane.occupied
        if occupied >= limits.events_held:
            return False
        if limits.requests_per_second is not None:
            most = _paced_events(lane.integration)
            if occupied > most:  # the limit is new
                self._rebalance_later(intake)
            if occupied >= most:
                return False
        if (waiting := lane.waiting) >= intake.few and lane.stands_still():
            if waiting > intake.few:
                self._rebalance_later(intake)
            return False
        if is_short and intake.events_each > 1:
            # The last of a few places, of which an event takes as much as a bundle of many: without
            # them what others have parked would wait behind this lane's.
            return lane.keeps_up()
        return occupied < (free // 4 or 1) or lane.keeps_up()

    def pump_all(self) -> None:
        """Let every lane send what it holds."""
        for lane in self:
            asyncio.get_running_loop().call_soon(lane.pump)

    def drop_lost(self) -> None:
        """Let go of what the broker has again."""
        for lane in self:
            lane.drop_lost()

    def _rebalance_later(self, intake: Intake) -> None:
        if intake not in self._crowded:
            self._crowded.add(intake)
            asyncio.get_running_loop().call_later(_REBALANCE_SECONDS, self._rebalance, intake)

    def _rebalance(self, intake: Intake) -> None:
        """Let lanes that have fallen behind since they took it in give up what is not theirs."""
        self._crowded.discard(intake)
        if intake.session.lost.is_set():
            return
        if self._gate.is_open:
            for lane in self:
                if lane.integration.limits.requests_per_second is not None:
                    self._shed(lane, intake, lane.occupied - _paced_events(lane.integration))
                if lane.stands_still():
                    self._shed(lane, intake, lane.waiting - intake.few)
        if not _is_short_of_room(intake):
            return
        if self._gate.is_open:
            slow = [lane for lane in self if not lane.keeps_up()]
            for lane in slow:
                self._shed(lane, intake, lane.held_of(intake) - intake.room // (len(slow) + 1))
        self._rebalance_later(intake)

    def _shed(self, lane: Lane, intake: Intake, events: int) -> None:
        if events > 0:
            for delivery in lane.shed(intake, events):
                self._park(lane, delivery)

    def retire(self, is_in_use: Callable[[str], bool]) -> None:
        """Forget lanes of integrations that are removed or disabled, as soon as they are idle: no
        event will ever end their block.
        """
        for key, lane in list(self._lanes.items()):
            if lane.is_idle and not is_in_use(key):
                del self._lanes[key]

    def _sweep(self) -> None:
        for key, lane in list(self._lanes.items()):
            if lane.is_idle and not lane.block.is_on:
                del self._lanes[key]


def _paced_events(integration: Integration) -> int:
    """Events that a limit of requests lets go within `PACED_SECONDS`: what waits longer in a worker
    keeps acknowledgements open, until the broker ends the session of all customers.
    """
    limits = integration.limits
    per_request = limits.messages_per_request if takes_batches(integration) else 1
    return max(1, int((limits.requests_per_second or 0) * PACED_SECONDS * per_request))


def _is_short_of_room(intake: Intake) -> bool:
    return intake.free < intake.room // 4

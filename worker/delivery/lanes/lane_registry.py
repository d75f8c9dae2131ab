"""The lanes of all integrations: each is made when it is needed and goes when nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator

from worker.broker.message import Source
from worker.delivery.delivery import Delivery
from worker.delivery.lanes.allowance import SHORT_SHARE, allowance
from worker.delivery.lanes.lane import Lane
from worker.delivery.lanes.request_pacing import RequestPacer
from worker.delivery.rounds.store_gate import StoreGate
from worker.integrations.model import Integration

_DROP_IDLE_EVERY = 1024
_REBALANCE_SECONDS = 0.25


class Lanes:
    """`make` makes the lane of an integration; `park` gets what a lane has to give up. All lanes
    share `pacer`.
    """

    def __init__(
        self,
        make: Callable[[Integration], Lane],
        park: Callable[[Lane, Delivery], None],
        gate: StoreGate,
        pacer: RequestPacer,
    ) -> None:
        self.pacer = pacer
        self._make = make
        self._park = park
        self._gate = gate
        self._crowded: set[Source] = set()
        self._lanes: dict[str, Lane] = {}
        self._made = 0
        self.rounds_beside: Collection[asyncio.Task[None]] = ()
        """Those of no lane that are under way."""
        gate.when_open(self.pump_all)

    def __iter__(self) -> Iterator[Lane]:
        return iter(list(self._lanes.values()))

    def of(self, integration: Integration) -> Lane:
        """The lane of `integration`."""
        lane = self._lanes.get(integration.id)
        if lane is None:
            lane = self._lanes[integration.id] = self._make(integration)
            self._made += 1
            if self._made % _DROP_IDLE_EVERY == 0:
                self._drop_idle()
        return lane

    def may_send(self, lane: Lane) -> bool:
        """Whether the state of a lane can be used, without which it sends nothing."""
        return self._gate.is_open_for(lane.integration.state_id)

    def has_room_for_one_of(self, intake: Source, lane: Lane) -> bool:
        """Whether a lane may hold one more event of `intake`."""
        if self._gate.closed and not self._gate.is_open:
            return True  # intake pauses: nothing is given up, and the prefetch does the rest
        more = allowance(lane, intake)
        if more < 0 or intake.free < intake.room // SHORT_SHARE:
            self._rebalance_later(intake)
        return more > 0

    def pump_all(self) -> None:
        """Let every lane send what it holds."""
        for lane in self:
            asyncio.get_running_loop().call_soon(lane.requests.pump)

    async def wait_for_rounds(self, seconds: float) -> None:
        """Until all rounds are done, for so long at most: what was handed over is not in hand any
        more, and yet the state is to learn what became of it.
        """
        rounds = [one for lane in self for one in lane.under_way.rounds]
        rounds += self.rounds_beside
        if rounds and seconds > 0:
            await asyncio.wait(rounds, timeout=seconds)

    def drop_returned(self) -> None:
        """Let every lane let go of deliveries that the broker has again."""
        for lane in self:
            lane.drop_returned()

    def _rebalance_later(self, intake: Source) -> None:
        if intake not in self._crowded:
            self._crowded.add(intake)
            asyncio.get_running_loop().call_later(_REBALANCE_SECONDS, self._rebalance, intake)

    def _rebalance(self, intake: Source) -> None:
        """Let lanes that have fallen behind since they took it in give up what is not theirs."""
        self._crowded.discard(intake)
        if intake.host.lost.is_set():
            return
        if self._gate.is_open:
            for lane in self:
                self._give_up(lane, intake, -allowance(lane, intake))
        if intake.free >= intake.room // SHORT_SHARE:
            return
        if self._gate.is_open:
            slow = [lane for lane in self if not lane.keeps_up()]
            for lane in slow:
                self._give_up(lane, intake, -allowance(lane, intake, len(slow)))
        self._rebalance_later(intake)

    def _give_up(self, lane: Lane, intake: Source, events: int) -> None:
        if events > 0:
            for delivery in lane.give_up_surplus(intake, events):
                self._park(lane, delivery)

    def drop_unused(self, is_in_use: Callable[[str], bool]) -> None:
        """Forget lanes of integrations that are removed or disabled, as soon as they are idle: no
        event will ever end their block.
        """
        for key, lane in list(self._lanes.items()):
            if lane.is_idle and not is_in_use(key):
                del self._lanes[key]

    def _drop_idle(self) -> None:
        for key, lane in list(self._lanes.items()):
            if lane.is_idle and not lane.block.is_on:
                del self._lanes[key]

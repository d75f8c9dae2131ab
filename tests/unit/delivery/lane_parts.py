"""A lane with rounds that the test ends itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.unit.delivery.parts import Hand, Store, event
from tests.unit.delivery.virtual_time import now, quiet
from tests.unit.examples import integration
from worker.adobe.replies import Accepted, Retryable
from worker.delivery.delivery import Delivery
from worker.delivery.lanes.block import Block
from worker.delivery.lanes.events_in_hand import Begun
from worker.delivery.lanes.lane import Lane
from worker.delivery.lanes.lane_state import Pauses, SharedParts
from worker.delivery.lanes.request_pacing import RequestPacer
from worker.delivery.lanes.suspect_turns import SuspectTurns
from worker.delivery.rounds.request_slots import RequestSlots
from worker.delivery.rounds.round_results import Result
from worker.delivery.rounds.store_gate import StoreGate
from worker.integrations.model import Integration
from worker.ordering.store_protocol import StoreUnavailable
from worker.reasons import ErrorCode

OK = Accepted("x")
TIMEOUT = Retryable(ErrorCode.TIMEOUT, "no answer in time")


class Round:
    """One that is under way until the test says how it ends."""

    def __init__(self, integration: Integration, groups: list[list[Delivery]]) -> None:
        self.integration = integration
        self.groups = [list(group) for group in groups]
        self.deliveries = [one for group in groups for one in group]
        self.end: asyncio.Future[list[tuple[Delivery, Result]]] = (
            asyncio.get_running_loop().create_future()
        )

    @property
    def users(self) -> list[str]:
        return [group[0].user for group in self.groups]

    async def answer(self, result: Result = OK) -> None:
        """Each delivery has `result`."""
        self.end.set_result([(one, result) for one in self.deliveries])
        await quiet()

    async def fail(self, error: Exception) -> None:
        self.end.set_exception(error)
        await quiet()

    async def find_the_store_away(self) -> None:
        await self.fail(StoreUnavailable("away"))


class Rounds:
    """`made` in their order; `under_way` are those that have not ended."""

    def __init__(self) -> None:
        self.made: list[Round] = []

    @property
    def under_way(self) -> list[Round]:
        return [one for one in self.made if not one.end.done()]

    @property
    def latest(self) -> Round:
        return self.made[-1]

    async def deliver(
        self, integration: Integration, groups: list[list[Delivery]], _: RequestSlots
    ) -> list[tuple[Delivery, Result]]:
        one = Round(integration, groups)
        self.made.append(one)
        return await one.end


class Bench:
    """A lane and what is around it. Limits are those of the integration."""

    def __init__(
        self, *, max_events_in_flight: int = 500, cpu_share: float = 0.0, **limits: Any
    ) -> None:
        self.integration = integration(limits={"profile_gap_seconds": 0} | limits)
        self.hand = Hand()
        self.rounds = Rounds()
        self.store = Store()
        self.gate = StoreGate(self.store)
        self.concluded: list[tuple[Delivery, Result]] = []
        self.begun = Begun(2_000, now)
        self.handed_over: list[Delivery] = []
        self.on_conclude: Callable[[Lane], None] = lambda lane: None
        shared = SharedParts(
            runner=self.rounds,
            gate=self.gate,
            pacer=RequestPacer(lambda: now() * cpu_share),
            suspects=SuspectTurns(now),
            begun=self.begun,
            pauses=Pauses(30.0, 5.0, 5.0),
            max_events_in_flight=max_events_in_flight,
        )
        self.released: list[Delivery] = []
        self.lane = Lane(
            self.integration,
            Block(15, 35),
            shared,
            self._conclude,
            self._hand_over,
            self._hand_over,
            lambda _, delivery: self.released.append(delivery),
        )
        self.gate.when_open(self.lane.requests.pump)

    def _hand_over(self, _: Lane, deliveries: list[Delivery]) -> None:
        for one in deliveries:
            one.is_handed_over = True
        self.handed_over += deliveries

    def _conclude(self, lane: Lane, results: list[tuple[Delivery, Result]]) -> None:
        self.concluded += results
        for delivery, _ in results:
            delivery.message.done()
        self.on_conclude(lane)

    def event(self, user: str = "lena", **more: Any) -> Delivery:
        return event(self.hand, self.integration, user, **more)

    async def offer(self, *users: str, **more: Any) -> list[Delivery]:
        """An event of each user, in one burst."""
        offered = [self.event(user, **more) for user in users]
        for one in offered:
            self.lane.offer(one)
        await quiet()
        return offered

    def give_up_surplus(self, share: int, hand: Hand | None = None) -> list[Delivery]:
        """What the lane gives up of all but `share` that came by `hand`."""
        intake = hand or self.hand
        return self.lane.give_up_surplus(intake, self.lane.held_of(intake) - share)

    def mark_sent(self) -> None:
        """The latest round has sent its request."""
        for one in self.rounds.latest.deliveries:
            one.was_sent = True

    async def fill(self, **more: Any) -> None:
        """As many requests under way as may be, one event in each."""
        number = 0
        while len(self.rounds.under_way) < self.lane.window.size:
            await self.offer(f"filler-{number}", is_suspect=True, **more)
            number += 1

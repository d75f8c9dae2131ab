"""Which lane has room: what one holds while it does not keep up, and when it stands still."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.delivery.lane_parts import OK, TIMEOUT, Bench
from tests.unit.delivery.parts import event
from tests.unit.delivery.virtual_time import after, in_virtual_time, quiet
from worker.adobe.replies import Retryable
from worker.delivery.delivery import Delivery
from worker.delivery.lanes.lane import Lane
from worker.delivery.lanes.lane_registry import Lanes
from worker.delivery.lanes.request_pacing import RequestPacer
from worker.reasons import ErrorCode

PREFETCH = 640
FEW = 10
"""What a lane that stands still may have waiting of so many, of what comes in bundles."""


class Room:
    """The lane of a bench among lanes, which is offered events as long as it has room for them."""

    def __init__(self, *, bundles: int = PREFETCH, **limits: Any) -> None:
        self.bench = Bench(**{"messages_per_request": 1, "requests_in_flight": 1, **limits})
        self.bench.hand.prefetch, self.bench.hand.room = bundles, PREFETCH
        self.parked: list[Delivery] = []
        self.lanes = Lanes(
            lambda _: self.bench.lane, self._park, self.bench.gate, RequestPacer(lambda: 0.0)
        )
        self.lane = self.lanes.of(self.bench.integration)
        self._number = 0

    def _park(self, _: Lane, delivery: Delivery) -> None:
        self.parked.append(delivery)
        delivery.message.done()

    def has_room(self) -> bool:
        return self.lanes.has_room_for_one_of(self.bench.hand, self.lane)

    async def come(self, most: int) -> int:
        """How many of `most` events the lane takes."""
        for taken in range(most):
            if not self.has_room():
                return taken
            self._number += 1
            self.lane.offer(event(self.bench.hand, self.bench.integration, f"u{self._number}"))
            await quiet()
        return most


@in_virtual_time
async def test_a_lane_that_keeps_up_may_hold_all_that_there_is_room_for() -> None:
    room = Room()
    assert await room.come(PREFETCH) == PREFETCH


@in_virtual_time
async def test_a_lane_that_falls_behind_may_hold_a_fifth() -> None:
    room = Room()
    await room.come(1)
    await after(0.6)
    taken = await room.come(PREFETCH)
    assert abs(taken + 1 - PREFETCH / 5) <= 1


@in_virtual_time
async def test_a_lane_without_an_answer_may_hold_a_few_of_bundles() -> None:
    room = Room(bundles=PREFETCH // 4)
    await room.come(1)
    await after(1.1)
    assert await room.come(PREFETCH) == FEW
    await room.bench.rounds.latest.answer(OK)
    assert room.has_room()


@in_virtual_time
async def test_of_single_messages_it_keeps_those_alone_that_are_in_its_request() -> None:
    room = Room()
    await room.come(100)
    await after(1.1)
    assert not room.has_room()
    await after(0.3)
    assert len(room.parked) == 99
    assert room.lane.held == 1


@in_virtual_time
async def test_what_it_holds_beyond_a_few_of_bundles_is_parked_the_newest_first() -> None:
    room = Room(bundles=PREFETCH // 4)
    await room.come(100)
    await after(1.1)
    assert not room.has_room()
    await after(0.3)
    assert len(room.parked) == 100 - 1 - FEW
    assert room.lane.held == 1 + FEW
    assert not room.has_room()
    await room.bench.rounds.latest.answer(OK)
    assert room.bench.rounds.latest.users == ["u2"], "what stays is the oldest"


@in_virtual_time
async def test_while_room_is_short_a_slow_lane_gives_up_what_is_beyond_its_share() -> None:
    room = Room()
    assert await room.come(600) == 600
    await after(0.8)  # it has fallen behind, and does not stand still yet
    assert not room.lane.stands_still()
    assert room.lane.held == PREFETCH // 2, "one part for it, and one for everyone else"
    assert len(room.parked) == 600 - PREFETCH // 2


@in_virtual_time
async def test_a_lane_that_was_asked_to_wait_does_not_stand_still_meanwhile() -> None:
    room = Room(requests_in_flight=2)
    await room.come(30)
    throttled = Retryable(ErrorCode.ADOBE_THROTTLED, "HTTP 429", 429, retry_after_seconds=4)
    await room.bench.rounds.latest.answer(throttled)
    await after(3)
    assert len(room.bench.rounds.under_way) == 1
    assert await room.come(30) == 30
    await after(1.1)
    assert not room.has_room()


@in_virtual_time
async def test_a_lane_whose_endpoint_is_always_slow_does_not_stand_still() -> None:
    room = Room()
    for _ in range(20):
        await room.come(1)
        await after(2)
        await room.bench.rounds.latest.answer(OK)
    await room.come(1)
    await after(4)
    assert await room.come(30) == 30
    await after(2)
    assert not room.has_room()


@in_virtual_time
async def test_answers_that_never_came_are_no_round_trips_to_learn_from() -> None:
    room = Room(bundles=PREFETCH // 4)
    for _ in range(20):
        await room.come(1)
        await after(30)
        await room.bench.rounds.latest.answer(TIMEOUT)
    await room.come(1)
    await after(1.1)
    assert await room.come(30) == FEW


@in_virtual_time
async def test_a_lane_is_never_beyond_its_own_limit() -> None:
    room = Room(events_held=7)
    assert await room.come(PREFETCH) == 7


@pytest.mark.parametrize(
    ("per_second", "per_request", "most"), [(0.1, 1, 6), (0.1, 4, 24), (2, 1, 120), (20, 1, 640)]
)
@in_virtual_time
async def test_a_lane_that_is_paced_holds_what_may_go_within_a_minute(
    per_second: float, per_request: int, most: int
) -> None:
    room = Room(requests_per_second=per_second, messages_per_request=per_request)
    assert await room.come(PREFETCH) == most


@in_virtual_time
async def test_a_lane_that_is_paced_anew_gives_up_what_may_not_go_within_a_minute() -> None:
    room = Room()
    await room.come(100)
    limits = room.lane.integration.limits.model_copy(update={"requests_per_second": 0.5})
    room.lane.adopt(room.lane.integration.model_copy(update={"limits": limits}))
    assert not room.has_room()
    await after(0.3)
    assert room.lane.held == 30
    assert len(room.parked) == 70


class Places(Room):
    """A few messages fill what these lanes have room for, as parked events do, which come in
    bundles.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bench.hand.prefetch = PREFETCH // EACH


EACH = 32


@in_virtual_time
async def test_what_fills_the_places_of_others_with_single_events_is_given_up() -> None:
    room = Places()
    await room.come(1)
    await after(0.6)
    places = room.bench.hand.prefetch
    await room.come(places)
    assert room.bench.hand.in_hand <= places * 3 // 4 + 1, "a quarter stays free for others"
    assert not room.has_room()


@in_virtual_time
async def test_places_that_a_failing_lane_took_while_it_kept_up_come_free() -> None:
    room = Places()
    places = room.bench.hand.prefetch
    assert await room.come(places) == places
    await after(1.0)
    room.has_room()
    await after(0.3)
    assert room.bench.hand.in_hand <= places // 2 + 1


@in_virtual_time
async def test_a_failing_lane_takes_one_event_when_that_can_find_out_if_its_endpoint_is_back() -> (
    None
):
    room = Room()
    for _ in range(2):
        await room.come(1)
        await room.bench.rounds.latest.answer(TIMEOUT)
        await after(0.1)
    await after(40)
    assert room.lane.health.is_failing
    assert room.has_room()
    asked = len(room.bench.rounds.made)
    assert await room.come(30) == 1
    assert len(room.bench.rounds.made) == asked + 1, "it goes at once"
    await room.bench.rounds.latest.answer(OK)
    assert await room.come(30) == 30

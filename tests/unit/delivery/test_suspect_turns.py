"""All suspects of a worker share one place: a slow customer may not have it all the time."""

from __future__ import annotations

import pytest

from tests.unit.delivery.fleet import Fleet
from tests.unit.delivery.lane_parts import Bench
from tests.unit.delivery.virtual_time import after, in_virtual_time
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.delivery.lanes.suspect_turns import SuspectTurns
from worker.delivery.rounds.round_results import Result
from worker.reasons import ErrorCode

NOT_FOUND = Retryable(ErrorCode.ADOBE_NOT_FOUND, "HTTP 404", 404)
REJECTED = Permanent(ErrorCode.ADOBE_REJECTED, "HTTP 400", 400)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_quick_suspect_is_followed_by_the_next_one_at_once() -> None:
    turns = SuspectTurns(Clock())
    turns.held("shop", 0.4)
    assert not turns.is_resting("shop")


def test_a_customer_with_very_many_quick_ones_leaves_the_place_to_others_again_and_again() -> None:
    clock = Clock()
    turns = SuspectTurns(clock)
    held, began = 0.0, clock.now
    while clock.now < began + 600:
        if turns.is_resting("many"):
            clock.now += 0.1
            continue
        clock.now += 0.4
        held += 0.4
        turns.held("many", 0.4)
        if turns.is_resting("many"):
            assert not turns.is_resting("shop")
    assert 0.4 < held / (clock.now - began) < 0.6


def test_after_a_slow_one_its_customer_rests_and_no_other_does() -> None:
    clock = Clock()
    turns = SuspectTurns(clock)
    turns.held("slow", 3)
    assert turns.is_resting("slow")
    assert not turns.is_resting("shop")
    clock.now += 29
    assert turns.is_resting("slow")
    clock.now += 1
    assert not turns.is_resting("slow")


@pytest.mark.parametrize("customers", [1, 5, 40])
def test_all_slow_customers_together_have_a_tenth_of_the_place(customers: int) -> None:
    clock = Clock()
    turns = SuspectTurns(clock)
    names = [f"slow-{number}" for number in range(customers)]
    for one in names:  # the first turn of each
        turns.held(one, 3)
        clock.now += 3
    held, began = 0.0, clock.now
    while clock.now < began + 20_000:
        ready = next((one for one in names if not turns.is_resting(one)), None)
        if ready is None:
            clock.now += 1
            continue
        clock.now += 3
        held += 3
        turns.held(ready, 3)
    assert 0.03 < held / (clock.now - began) < 0.2


@pytest.mark.parametrize("answer", [Accepted("x"), NOT_FOUND, REJECTED], ids=type)
@in_virtual_time
async def test_a_suspect_of_a_slow_endpoint_is_handed_over_soon_whatever_it_answers(
    answer: Result,
) -> None:
    bench = Bench()
    for user in ("lena", "ole"):  # so slow as usual that nothing else would be handed over
        await bench.offer(user)
        bench.mark_sent()
        await after(20)
        await bench.rounds.latest.answer(answer)
    bench.handed_over.clear()
    assert bench.lane.takes_suspects
    [suspect] = await bench.offer("ida", is_suspect=True)
    bench.mark_sent()
    await after(3.1)
    assert bench.handed_over == [suspect]
    assert not bench.lane.takes_suspects
    assert not bench.lane.health.is_failing, "it is slow, and living"
    await after(30)
    assert bench.lane.takes_suspects


@in_virtual_time
async def test_suspects_of_a_slow_customer_leave_the_place_until_their_turn_comes() -> None:
    fleet = Fleet()
    fleet.adobe.answers.clear()
    fleet.publish(5, queue="consent.suspects")
    await after(4)
    assert fleet.hands[0, "consent.suspects"].in_hand == 0
    fleet.adobe.answers.set()
    await after(200)
    assert fleet.told.count("delivered") == 5

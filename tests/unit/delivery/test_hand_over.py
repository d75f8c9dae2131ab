"""What gets no answer for some seconds leaves the worker's hands, and its request goes on."""

from __future__ import annotations

import pytest

from tests.unit.delivery.fleet import Fleet
from tests.unit.delivery.lane_parts import OK, Bench
from tests.unit.delivery.virtual_time import after, in_virtual_time
from worker.adobe.replies import Retryable
from worker.broker.headers import HANDED_OVER
from worker.delivery.rounds.round_results import Untried
from worker.reasons import ErrorCode


@in_virtual_time
async def test_after_three_seconds_without_an_answer_nothing_of_a_request_is_in_hand() -> None:
    fleet = Fleet()
    fleet.adobe.answers.clear()
    fleet.publish(20)
    await after(2.9)
    [hand] = fleet.hands.values()
    assert hand.in_hand == 20
    await after(0.2)
    assert hand.in_hand == 0
    assert fleet.adobe.under_way == 1, "the request goes on"


@in_virtual_time
async def test_a_request_that_succeeds_late_is_one_outcome_and_one_message() -> None:
    fleet = Fleet()
    fleet.adobe.answers.clear()
    fleet.publish(20)
    await after(12)
    fleet.adobe.answers.set()
    await after(100)
    assert fleet.told == ["retried"] * 20 + ["accepted late"] * 20 + ["delivered"] * 20
    assert {len(times) for times in fleet.adobe.times.values()} == {1}
    assert sum(hand.in_hand for hand in fleet.hands.values()) == 0


@in_virtual_time
async def test_a_newer_choice_between_a_late_success_and_the_copy_is_no_second_outcome() -> None:
    fleet = Fleet()
    fleet.adobe.answers.clear()
    fleet.publish(1)
    await after(12)
    fleet.adobe.answers.set()
    await after(1)
    fleet.publish_newer()
    await after(100)
    assert fleet.told == ["retried", "accepted late", "delivered", "superseded"]


@in_virtual_time
async def test_without_the_stamp_of_a_late_success_the_copy_is_sent_again() -> None:
    fleet = Fleet()
    fleet.adobe.answers.clear()
    fleet.publish(1)
    await after(3.1)
    assert fleet.line.handed_over == 1
    fleet.adobe.answers.set()
    await after(1)
    fleet.forget_all()
    await after(100)
    assert len(fleet.adobe.times["u1@northwind.example"]) == 2
    assert fleet.told[-1] == "delivered"


@in_virtual_time
async def test_a_late_refusal_is_left_to_the_copy() -> None:
    fleet = Fleet()
    fleet.adobe.answers.clear()
    fleet.publish(1)
    await after(12)
    fleet.adobe.reply = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "", 503)
    fleet.adobe.answers.set()
    await after(1)
    assert fleet.told == ["retried"], "of the copy, which is due when the request's time is over"
    await after(25)
    assert fleet.told == ["retried", "retried"]
    assert len(fleet.adobe.times["u1@northwind.example"]) == 2


@in_virtual_time
async def test_what_has_no_retry_left_stays_in_hand_and_is_dead_with_its_cause() -> None:
    fleet = Fleet()
    fleet.adobe.answers.clear()
    fleet.publish(1)
    await after(400)
    [letter] = fleet.line.letters
    assert (letter["consent-dead-reason"], letter["consent-error"]) == (
        "retries-exhausted",
        "timeout",
    )
    assert HANDED_OVER not in letter


@in_virtual_time
async def test_an_endpoint_that_is_slow_as_usual_hands_nothing_over() -> None:
    bench = Bench()
    for user in ("lena", "ole"):
        await bench.offer(user)
        bench.mark_sent()
        await after(2.5)
        await bench.rounds.latest.answer(OK)
    await bench.offer("ida")
    bench.mark_sent()
    await after(7)
    assert bench.handed_over == []
    await after(1)
    assert [one.user for one in bench.handed_over] == ["ida"]


@in_virtual_time
async def test_the_time_for_which_the_state_was_away_is_not_how_slow_the_endpoint_is() -> None:
    bench = Bench()
    await bench.offer("lena")
    bench.mark_sent()
    await after(600)  # its request had an answer at once, which could not be settled
    bench.handed_over.clear()
    await bench.rounds.latest.answer(OK)
    for number in range(14):  # as few as make up for one attempt that took all of its time
        await bench.offer(f"u{number}")
        await bench.rounds.latest.answer(OK)
    await bench.offer("ole")
    bench.mark_sent()
    await after(3.1)
    assert [one.user for one in bench.handed_over] == ["ole"]


@pytest.mark.parametrize(("behind", "seconds"), [(1_000, 1), (999, 3)])
@in_virtual_time
async def test_who_holds_up_the_acknowledgements_of_many_is_handed_over_sooner(
    behind: int, seconds: int
) -> None:
    bench = Bench()
    await bench.offer("lena")
    bench.mark_sent()
    for _ in range(behind):
        bench.hand.message()
    await after(seconds - 0.1)
    assert bench.handed_over == []
    await after(0.2)
    assert [one.user for one in bench.handed_over] == ["lena"]
    await after(20)
    assert len(bench.handed_over) == 1, "once"


@in_virtual_time
async def test_a_suspect_is_handed_over_and_what_was_not_sent_yet_stays_in_hand() -> None:
    bench = Bench()
    [suspect] = await bench.offer("lena", is_suspect=True)
    bench.mark_sent()
    await bench.offer("ole")  # waits for the store, say
    await after(20)
    assert bench.handed_over == [suspect]


@in_virtual_time
async def test_suspects_of_a_failing_endpoint_leave_the_one_place_that_all_share() -> None:
    fleet = Fleet()
    fleet.adobe.answers.clear()
    fleet.publish(1)
    await after(4)
    fleet.publish(20, queue="consent.suspects")
    await after(0.02)  # each waits for those before it, so not for others that make a bundle
    assert fleet.hands[0, "consent.suspects"].in_hand == 0
    fleet.adobe.answers.set()
    await after(60)
    assert fleet.told.count("delivered") == 21


@in_virtual_time
async def test_what_adobe_has_not_seen_waits_on_and_makes_no_attempt() -> None:
    bench = Bench()
    [one] = await bench.offer("lena")
    await bench.rounds.latest.answer(Untried())
    await after(0.1)
    assert bench.concluded == []
    assert bench.rounds.latest.deliveries == [one]
    assert len(bench.rounds.made) == 2
    await bench.rounds.latest.answer(OK)
    assert bench.concluded == [(one, OK)]
    assert bench.lane.held == 0

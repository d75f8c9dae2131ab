"""What is published for an outcome, and when the message is done."""

from __future__ import annotations

import pytest

from tests.unit.delivery.parts import GATHERED_SECONDS, Hand, Published, Store
from tests.unit.delivery.virtual_time import after, in_virtual_time, quiet
from worker.broker import headers as names
from worker.broker.delay import NativeDelay
from worker.broker.message import Incoming
from worker.broker.queue_names import Names
from worker.broker.retry_state import FRESH, RetryState
from worker.delivery.bundles.gathering import BundleGathering
from worker.delivery.outcome import NO_ANSWER_YET, Dead, Failure, Parked, Retried
from worker.delivery.rounds.epoch_watch import EpochWatch
from worker.delivery.successors import Successors, state_after
from worker.reasons import DeadReason, ErrorCode, ParkReason

NOW_MS = 1_800_000_000_000
AWAY = Failure(ErrorCode.ADOBE_UNAVAILABLE, "HTTP 503", 503)


class Bench:
    def __init__(self, queue: str = "consent.events") -> None:
        delay = NativeDelay("consent")
        self.hand = Hand(queue)
        self.successors = Successors(
            delay,
            Names("consent"),
            BundleGathering(delay, lambda: NOW_MS),
            EpochWatch(Store().epochs),
            lambda: NOW_MS,
        )

    def message(self) -> Incoming:
        return self.hand.message(b"body", {"theirs": 1}, message_id="m1")

    @property
    def published(self) -> list[Published]:
        return self.hand.host.published

    async def follow(
        self, outcome: Retried | Parked | Dead, state: RetryState = FRESH
    ) -> Published:
        message = self.message()
        self.successors.follow(message, state, outcome, message.done)
        await after(GATHERED_SECONDS)
        return self.published[-1]


@in_virtual_time
async def test_a_retry_goes_to_the_delay_with_its_state_and_what_went_wrong() -> None:
    bench = Bench()
    state = RetryState("shop", attempts_made=2, first_attempt_at_ms=NOW_MS - 9_000, elapsed_ms=9)
    one = await bench.follow(Retried(20, AWAY), state)
    assert one.body == b"body"
    assert not one.routing_key.endswith(".parked"), "it comes back to the queue of retries"
    assert one.headers["theirs"] == 1
    assert one.headers[names.INTEGRATION] == "shop"
    assert one.headers[names.ATTEMPTS] == 2
    assert one.headers[names.DUE_AT] == NOW_MS + 20_000
    assert one.headers[names.ERROR] == "adobe-unavailable"
    assert one.headers[names.HTTP_STATUS] == 503


@in_virtual_time
async def test_a_message_is_done_when_its_successor_is_confirmed_and_not_before() -> None:
    bench = Bench()
    message = bench.message()
    bench.successors.follow(message, FRESH, Retried(5, AWAY), message.done)
    assert bench.hand.acknowledged == []
    await quiet()
    assert bench.hand.acknowledged == [message.tag]


@in_virtual_time
async def test_what_is_busy_comes_back_as_a_retry_does() -> None:
    one = await Bench().follow(Parked(1, ParkReason.BUSY))
    assert not one.routing_key.endswith(".parked")


@in_virtual_time
async def test_what_is_parked_untried_is_gathered_in_a_bundle() -> None:
    bench = Bench()
    for _ in range(3):
        message = bench.message()
        bench.successors.follow(message, FRESH, Parked(4, ParkReason.PAUSED), message.done)
    await quiet()
    assert bench.published == []
    await after(GATHERED_SECONDS)
    assert [one.headers[names.BUNDLE] for one in bench.published] == [3]
    assert bench.published[0].routing_key.endswith(".parked")
    assert bench.hand.acknowledged == [1, 2, 3]


@in_virtual_time
async def test_a_bundle_goes_before_its_first_event_has_held_up_many_acknowledgements() -> None:
    bench = Bench()
    room = bench.hand.room
    for _ in range(2):
        first = bench.message()
        bench.successors.follow(first, FRESH, Parked(4, ParkReason.LANE_FULL), first.done)
        for _ in range(room // 4):
            bench.message()
    await quiet()
    assert [one.headers[names.BUNDLE] for one in bench.published] == [2]


@pytest.mark.parametrize(
    ("queue", "attempts"),
    [pytest.param("consent.suspects", 0, id="a suspect"), ("consent.retries", 1)],
)
@in_virtual_time
async def test_what_was_tried_and_a_suspect_are_parked_alone_and_at_once(
    queue: str, attempts: int
) -> None:
    bench = Bench(queue)
    state = RetryState("shop", attempts, NOW_MS if attempts else None)
    message = bench.message()
    bench.successors.follow(message, state, Parked(4, ParkReason.BLOCKED, AWAY), message.done)
    assert [one.routing_key.endswith(".parked") for one in bench.published] == [True]
    assert bench.published[0].headers[names.ERROR_DETAIL] == "HTTP 503"


@in_virtual_time
async def test_a_dead_letter_says_why_and_when_and_has_at_most_a_kilobyte_of_detail() -> None:
    failure = Failure(ErrorCode.ADOBE_REJECTED, "ä" * 2_000, 400)
    one = await Bench().follow(Dead(DeadReason.ADOBE_REJECTED, failure), RetryState("shop"))
    assert (one.exchange, one.routing_key) == ("consent.dead-letters", "")
    assert one.headers[names.DEAD_REASON] == "adobe-rejected"
    assert one.headers[names.DEAD_AT] == NOW_MS
    assert one.headers[names.ERROR_DETAIL] == "ä" * 512


CARRIED = {
    names.ERROR: "adobe-unavailable",
    names.ERROR_DETAIL: "HTTP 503",
    names.HTTP_STATUS: 503,
}
TOO_LATE = Dead(
    DeadReason.RETRIES_EXHAUSTED, Failure(DeadReason.RETRIES_EXHAUSTED, "it came back late")
)


@pytest.mark.parametrize(
    "outcome", [TOO_LATE, Parked(1, ParkReason.BUSY), Parked(4, ParkReason.PAUSED)], ids=str
)
@in_virtual_time
async def test_what_was_not_tried_again_keeps_the_error_of_its_last_attempt(
    outcome: Parked | Dead,
) -> None:
    bench = Bench()
    message = bench.hand.message(b"body", dict(CARRIED))
    state = RetryState("shop", 5, NOW_MS - 300_000)
    bench.successors.follow(message, state, outcome, message.done)
    [one] = bench.published
    assert one.headers.items() >= CARRIED.items()


@pytest.mark.parametrize("error", ["no-code-of-ours", "no-identity", 7, True, ["timeout"]])
@in_virtual_time
async def test_an_error_that_no_worker_wrote_is_not_carried_on(error: object) -> None:
    bench = Bench()
    message = bench.hand.message(b"body", CARRIED | {names.ERROR: error})
    bench.successors.follow(message, RetryState("shop"), TOO_LATE, message.done)
    [one] = bench.published
    assert one.headers[names.ERROR] == "retries-exhausted"
    assert one.headers[names.ERROR_DETAIL] == "it came back late"


@in_virtual_time
async def test_a_suspect_keeps_its_headers_and_goes_to_its_queue_unread() -> None:
    bench = Bench()
    came_with = {names.INTEGRATION: "shop", names.RETURNS: 2, names.CONTRACT: 99}
    bench.successors.move_to_suspects(bench.hand.message(b"body", came_with))
    [one] = bench.published
    assert (one.exchange, one.routing_key, one.body) == ("", "consent.suspects", b"body")
    assert one.headers == {
        names.INTEGRATION: "shop",
        names.CONTRACT: names.CONTRACT_VERSION,
        names.RETURNED: 1,
    }


TRIED = RetryState("shop", 1, NOW_MS, 1_000, blocked_since_ms=NOW_MS)


@pytest.mark.parametrize(
    ("reason", "spared_ms", "blocked_since"),
    [
        (ParkReason.BLOCKED, 4_000, NOW_MS),
        (ParkReason.IN_DOUBT, 4_000, NOW_MS),
        (ParkReason.CHANGED, 4_000, None),
        (ParkReason.PAUSED, 4_000, None),
        (ParkReason.UNKNOWN_INLET, 4_000, None),
        (ParkReason.LANE_FULL, 0, None),
        (ParkReason.BUSY, 0, None),
        (ParkReason.NOT_YET, 0, None),
    ],
)
def test_parking_spares_the_budget_where_a_person_has_to_act(
    reason: ParkReason, spared_ms: int, blocked_since: int | None
) -> None:
    after_it = state_after(TRIED, Parked(4, reason), "shop")
    assert after_it.parked_ms == spared_ms
    assert after_it.blocked_since_ms == blocked_since
    assert after_it.parks == 1
    untried = state_after(RetryState("shop"), Parked(4, reason), "shop")
    assert untried.parked_ms == 0, "what was never tried has no budget yet"


def test_a_retry_spends_the_budget_by_its_delay_and_says_whether_it_is_handed_over() -> None:
    after_it = state_after(TRIED, Retried(5, AWAY), "shop")
    assert (after_it.elapsed_ms, after_it.is_handed_over) == (6_000, False)
    assert state_after(TRIED, Retried(5, NO_ANSWER_YET), "shop").is_handed_over


def test_a_dead_letter_names_its_integration_and_nothing_else_changes() -> None:
    assert state_after(FRESH, Dead(DeadReason.NO_IDENTITY, AWAY), "shop") == RetryState("shop")

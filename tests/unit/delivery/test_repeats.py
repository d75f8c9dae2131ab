"""Adobe carries a request out after it was given up, and after a newer choice was accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.unit.delivery.fleet import Fleet, Seen
from tests.unit.delivery.parts import GATHERED_SECONDS, Store
from tests.unit.delivery.pipeline_parts import Worker, body
from tests.unit.delivery.virtual_time import after, in_virtual_time
from tests.unit.examples import integration
from worker.adobe.attempt_deadline import being_watched
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.adobe.streaming import OutgoingMessage
from worker.broker.headers import BUNDLE
from worker.integrations.model import Integration
from worker.ordering.store_protocol import Claim, Contended
from worker.reasons import ErrorCode

UNCLEAR = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "HTTP 504", 504, is_unclear=True)
AWAY = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "HTTP 503", 503)
REFUSED = Retryable(ErrorCode.ADOBE_REFUSED, "HTTP 403", 403)
MARK_SECONDS = 120
OLD, NEW, NEWEST = (
    body("old", ago=60, enabled=True, user="lena"),
    body("new", ago=40, enabled=False, user="lena"),
    body("newest", ago=20, enabled=True, user="lena"),
)
REPEAT = {"consent_integration": "shop", "consent_repeat": 1}


class Late(Seen):
    """Answers a request with 504 for each of `late`, and carries it out after so many seconds.
    `record` is what arrived last.
    """

    def __init__(self) -> None:
        super().__init__()
        self.late: list[float] = []
        self.record: Any = None

    async def send(
        self, target: Integration, messages: Sequence[OutgoingMessage]
    ) -> list[Accepted | Retryable | Permanent] | Retryable | Permanent:
        if self.late:
            self.asked += 1
            loop = asyncio.get_running_loop()
            loop.call_later(self.late.pop(0), self._carry_out, messages)
            return UNCLEAR
        being_watched().awaits_answer = True
        replies = await super().send(target, messages)
        if isinstance(replies, list):
            self._carry_out(messages)
        being_watched().awaits_answer = False
        return replies

    def _carry_out(self, messages: Sequence[OutgoingMessage]) -> None:
        self.record = (self.record or {}) | messages[-1].record["_acme"]


def a_fleet(workers: int = 1, **limits: int) -> tuple[Fleet, Late]:
    adobe = Late()
    return Fleet(workers, adobe, **limits), adobe


async def _old_is_unclear_and_new_accepted(fleet: Fleet, adobe: Late, late: float = 41) -> None:
    adobe.late = [late]
    fleet.give(OLD)
    await after(2)
    fleet.give(NEW)
    await after(1)


def _ends_of_repeats(fleet: Fleet) -> list[str]:
    return [one for one in fleet.told if ": " in one]


def _planned(fleet: Fleet) -> list[str]:
    """Whose repeat, and in how many seconds."""
    marker = "repeat of "
    return [
        one.removeprefix(marker) for one in fleet.told if one.startswith(marker) and " in " in one
    ]


@in_virtual_time
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_newer_choice_is_sent_again_when_no_older_one_can_come_any_more(
    workers: int,
) -> None:
    fleet, adobe = a_fleet(workers)
    await _old_is_unclear_and_new_accepted(fleet, adobe)
    assert _planned(fleet) == ["new in 119 s"]
    await after(30)
    assert adobe.record == {"news": False}
    await after(10)
    assert adobe.record == {"news": True}, "the older one was carried out late"
    await after(MARK_SECONDS)
    assert adobe.record == {"news": False}
    assert sorted(fleet.told) == [
        "delivered",
        "repeat of new in 119 s",
        "repeat of new: repeated",
        "retried",
        "superseded",
    ]
    assert sum(hand.in_hand for hand in fleet.hands.values()) == 0
    asked = adobe.asked
    await after(1000)
    assert adobe.asked == asked, "once"


@in_virtual_time
async def test_the_retry_of_what_is_unclear_needs_no_repeat() -> None:
    fleet, adobe = a_fleet()
    adobe.late = [41, 43]
    fleet.give(OLD)
    await after(200)
    assert fleet.told == ["retried", "retried", "delivered"]


@in_virtual_time
async def test_what_is_older_than_what_is_unclear_needs_no_repeat() -> None:
    fleet, adobe = a_fleet()
    adobe.late = [41]
    fleet.give(NEW)
    await after(2)
    fleet.give(OLD)
    await after(200)
    assert fleet.told == ["retried", "delivered", "delivered"]
    assert adobe.record == {"news": False}


@in_virtual_time
async def test_what_is_accepted_after_the_mark_is_over_needs_no_repeat() -> None:
    fleet, adobe = a_fleet()
    adobe.late = [41]
    fleet.give(OLD)
    await after(MARK_SECONDS + 1)
    fleet.give(NEW)
    await after(200)
    assert fleet.told == ["retried", "delivered", "delivered"]


@in_virtual_time
async def test_a_choice_that_is_newer_still_supersedes_the_repeat() -> None:
    fleet, adobe = a_fleet()
    await _old_is_unclear_and_new_accepted(fleet, adobe)
    await after(MARK_SECONDS - 30)
    fleet.give(NEWEST)
    await after(MARK_SECONDS)
    assert _ends_of_repeats(fleet) == ["repeat of new: superseded", "repeat of newest: repeated"]
    assert adobe.record == {"news": True}


@in_virtual_time
async def test_ordinary_traffic_writes_stamps_alone_and_repeats_nothing() -> None:
    fleet, adobe = a_fleet()
    for reply in (AWAY, Retryable(ErrorCode.ADOBE_THROTTLED, "", 429), Accepted("x")):
        adobe.reply = reply
        fleet.give(OLD)
        await after(2)
    fleet.give(NEW)
    await after(400)
    assert {path for one in fleet.store.settlements for path in one.written} == {"_acme.news"}
    assert _planned(fleet) == []


@in_virtual_time
async def test_a_request_without_an_answer_is_unclear_and_one_that_was_not_written_is_not() -> None:
    fleet, adobe = a_fleet()
    adobe.answers.clear()
    fleet.give(OLD)
    await after(31)
    assert [set(one.written) for one in fleet.store.settlements] == [{"?"}]
    adobe.answers.set()
    fleet.give(NEW)
    await after(20)
    assert len(_planned(fleet)) == 1


@in_virtual_time
async def test_a_repeat_that_fails_is_retried_and_becomes_a_dead_letter_that_is_one() -> None:
    fleet, adobe = a_fleet()
    await _old_is_unclear_and_new_accepted(fleet, adobe)
    await after(MARK_SECONDS - 30)
    adobe.reply = AWAY
    await after(500)
    [letter] = fleet.line.letters
    assert letter["consent-dead-reason"] == "retries-exhausted"
    assert (letter["consent-repeat"], letter["consent-attempts"]) == (1, 7)
    adobe.reply = Accepted("x")
    fleet.give(NEW, **REPEAT, consent_replays=1)
    await after(1)
    assert fleet.told[-1] == "repeat of new: repeated"
    assert fleet.told.count("delivered") == 1, "of the event itself"


@in_virtual_time
async def test_a_repeat_that_is_unclear_itself_is_not_repeated_for_ever() -> None:
    fleet, adobe = a_fleet()
    await _old_is_unclear_and_new_accepted(fleet, adobe)
    adobe.late = [41]
    await after(MARK_SECONDS + 10)
    asked = adobe.asked
    assert fleet.told[-1] == "repeat of new: repeated"
    await after(1000)
    assert adobe.asked == asked


@in_virtual_time
async def test_a_repeat_that_meets_a_new_mark_is_repeated_once_more() -> None:
    fleet, adobe = a_fleet()
    mappings = [
        {"id": f"_acme.{one}", "value": f"consents_purposes_{one}_enabled"}
        for one in ("news", "offers")
    ]
    fleet.workers[0].shop = integration(limits={"profile_gap_seconds": 0}, mappings=mappings)
    await _old_is_unclear_and_new_accepted(fleet, adobe)
    await after(MARK_SECONDS - 10)
    adobe.late = [20]
    fleet.give(body("other", ago=70, user="lena").replace(b'"news"', b'"offers"'))
    await after(400)
    assert _ends_of_repeats(fleet) == ["repeat of new: repeated"] * 2


@in_virtual_time
async def test_a_repeat_that_hangs_stays_in_hand_since_its_stamp_ends_no_copy() -> None:
    fleet, adobe = a_fleet()
    await _old_is_unclear_and_new_accepted(fleet, adobe)
    await after(MARK_SECONDS - 5)
    adobe.answers.clear()
    await after(15)
    assert fleet.line.handed_over == 0
    adobe.answers.set()
    await after(100)
    assert fleet.told[-1] == "repeat of new: repeated"
    assert fleet.told.count("repeat of new: repeated") == 1


@in_virtual_time
async def test_what_was_handed_over_and_accepted_late_is_repeated_by_its_copy() -> None:
    fleet, adobe = a_fleet()
    adobe.late = [60]
    fleet.give(OLD)
    await after(2)
    adobe.answers.clear()
    fleet.give(NEW)
    await after(10)
    assert fleet.line.handed_over == 1
    adobe.answers.set()
    await after(35)
    assert fleet.told.count("delivered") == 1
    await after(20)
    assert adobe.record == {"news": True}, "the older one was carried out late"
    await after(MARK_SECONDS)
    assert adobe.record == {"news": False}
    assert fleet.told[-1] == "repeat of new: repeated"


@in_virtual_time
@pytest.mark.parametrize("returns", [0, 1])
async def test_a_worker_that_died_before_the_repeat_was_confirmed_loses_none(returns: int) -> None:
    fleet, adobe = a_fleet(2)
    await _old_is_unclear_and_new_accepted(fleet, adobe)
    fleet.give(NEW, **({"x_delivery_count": returns} if returns else {}))
    await after(1)
    assert "duplicate" in fleet.told
    assert len(_planned(fleet)) == 2


@in_virtual_time
async def test_a_forged_repeat_of_what_was_never_delivered_is_an_ordinary_event() -> None:
    fleet, adobe = a_fleet()
    fleet.give(NEW, **REPEAT)
    await after(1)
    assert fleet.told == ["delivered"]
    fleet.give(OLD, **REPEAT)
    await after(1)
    assert fleet.told[1:] == ["repeat of old: superseded"]
    fleet.give(NEW, **REPEAT)
    await after(1)
    assert fleet.told[2:] == ["repeat of new: repeated"]
    assert adobe.record == {"news": False}
    adobe.reply = AWAY
    fleet.give(NEWEST, **REPEAT)
    await after(600)
    [letter] = fleet.line.letters
    assert "consent-repeat" not in letter
    assert fleet.told[-1] == "dead"


@in_virtual_time
async def test_a_repeat_beside_a_newer_and_an_older_choice_leaves_the_newest() -> None:
    fleet, adobe = a_fleet()
    fleet.give(NEW)
    await after(1)
    for content, headers in ((OLD, {}), (NEW, REPEAT), (NEW, REPEAT), (NEW, {})):
        fleet.give(content, **headers)
    await after(1)
    assert adobe.record == {"news": False}
    assert sorted(fleet.told[1:]) == [
        "duplicate",
        "repeat of new: duplicate",
        "repeat of new: repeated",
        "superseded",
    ]


@in_virtual_time
async def test_a_repeat_that_is_parked_stays_one() -> None:
    fleet, adobe = a_fleet()
    await _old_is_unclear_and_new_accepted(fleet, adobe)
    adobe.reply = REFUSED
    fleet.give(body("other", user="ole"))
    await after(MARK_SECONDS + 60)
    assert fleet.told.count("parked") > 1
    adobe.reply = Accepted("x")
    await after(600)
    assert fleet.told.count("repeat of new: repeated") == 1
    assert fleet.told.count("delivered") == 2


@in_virtual_time
async def test_an_event_is_acknowledged_when_its_repeat_is_confirmed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fleet, adobe = a_fleet()
    adobe.late = [41]
    fleet.give(OLD)
    await after(2)
    confirms: list[Callable[[], None]] = []
    monkeypatch.setattr(fleet.line, "publish", lambda *given, **_: confirms.append(given[4]))
    fleet.give(NEW)
    await after(1)
    assert "delivered" in fleet.told
    assert fleet.hands[0, "consent.events"].in_hand == 1
    [confirmed] = confirms
    confirmed()
    assert fleet.hands[0, "consent.events"].in_hand == 0


@in_virtual_time
async def test_the_gap_after_an_unclear_answer_is_that_of_a_failure() -> None:
    fleet, adobe = a_fleet(2, profile_gap_seconds=10)
    adobe.late = [41]
    fleet.give(OLD)
    await after(0.1)
    [settlement] = fleet.store.settlements
    [answer] = await fleet.store.begin("shop", [Claim(settlement.user, ())])
    assert isinstance(answer, Contended)
    assert answer.wait_seconds < 5


@in_virtual_time
async def test_repeats_in_a_bundle_say_so_each_by_itself() -> None:
    worker = Worker(Late(), Store())
    worker.shop = worker.shop.model_copy(update={"paused": True})
    headers = {"consent-integration": "shop", "consent-repeat": 1}
    worker.pipeline.handle(worker.hand.message(NEW, headers))
    worker.pipeline.handle(
        worker.hand.message(body("e2", user="ole"), {"consent-integration": "shop"})
    )
    await after(GATHERED_SECONDS)
    bundle = worker.latest
    assert bundle.headers[BUNDLE] == 2
    assert "consent-repeat" not in bundle.headers
    worker.shop = worker.shop.model_copy(update={"paused": False})
    worker.told.clear()
    await worker.take(NEW)
    await worker.take(bundle.body, bundle.headers)
    await after(1)
    assert worker.told == ["delivered", "repeat of new: repeated", "delivered"]


@in_virtual_time
async def test_a_repeat_that_says_nothing_any_more_ends_without_an_outcome() -> None:
    fleet, adobe = a_fleet()
    await _old_is_unclear_and_new_accepted(fleet, adobe)
    told = len(fleet.told)
    mappings = [{"id": "_acme.tier", "value": "metadata_tier"}]
    fleet.workers[0].shop = integration(mappings=mappings)
    await after(MARK_SECONDS)
    assert fleet.told[told:] == ["nothing-mapped", "repeat of new: nothing-mapped"]


@in_virtual_time
async def test_a_repeat_for_an_integration_that_has_another_id_now_is_a_dead_letter() -> None:
    """There it is no repeat, and every other integration has had its event."""
    worker = Renamed(Late(), Store())
    headers = {"consent-integration": "shop", "consent-repeat": 1, "consent-blocked-since": 1}
    await worker.take(NEW, headers)
    assert worker.told == ["dead"]
    assert worker.latest.headers["consent-dead-reason"] == "unknown-integration"
    assert worker.latest.headers["consent-repeat"] == 1


class Renamed(Worker):
    """A worker whose one integration is called otherwise now."""

    def for_organization(self, _: str) -> list[Integration]:
        return [self.shop.model_copy(update={"id": "store"})]

    def get(self, _: str) -> Integration | None:
        return None

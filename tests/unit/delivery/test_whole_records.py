"""Messages that replace the record at Adobe: each says all that is known of the person."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.delivery.parts import Store
from tests.unit.delivery.records import (
    BAGS,
    COMPLETED,
    MAPPINGS,
    NO_GAP,
    SNAPSHOTS,
    Worker,
    choice,
    completed,
    snapshot,
)
from tests.unit.delivery.virtual_time import after, in_virtual_time
from tests.unit.examples import integration
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.broker.retry_state import RetryState
from worker.delivery.rounds.request_slots import RequestSlots
from worker.delivery.rounds.round_results import Duplicate, Emptied, Erased, Superseded, Untried
from worker.delivery.rounds.whole_record import paths_without_value
from worker.integrations.model import Integration
from worker.ordering.memory_store import MemoryStore
from worker.ordering.snapshot_fold import Known
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import Claim, Granted, Settlement, Timing
from worker.reasons import ErrorCode

MERGED_SNAPSHOTS = integration(
    events="user", limits=NO_GAP, mappings=[{**one, "absent": "none"} for one in MAPPINGS]
)
OK = Accepted("x")
UNCLEAR = Retryable(ErrorCode.TIMEOUT, "no answer in time", is_unclear=True)
REFUSED = Permanent(ErrorCode.ADOBE_REJECTED, "no", 400)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(Timing())


@pytest.fixture
def events(store: MemoryStore) -> Worker:
    return Worker(store)


@pytest.fixture
def snapshots(store: MemoryStore) -> Worker:
    return Worker(store, SNAPSHOTS)


async def test_an_older_snapshot_of_a_user_that_comes_late_is_superseded(snapshots: Worker) -> None:
    newer = snapshot(20, news=False, offers=None)
    assert await snapshots.take(newer) == [OK]
    assert await snapshots.take(snapshot(10, news=True, offers=True)) == [Superseded()]
    assert await snapshots.take(newer) == [Duplicate()]
    assert snapshots.adobe.records == [{"news": False}]


async def test_snapshots_of_a_user_that_wait_together_are_not_mixed(snapshots: Worker) -> None:
    results = await snapshots.take(snapshot(10, news=True, offers=True), snapshot(20, news=False))
    assert results == [Superseded(), OK]
    assert snapshots.adobe.records == [{"news": False}]


async def test_what_another_device_has_said_goes_along(snapshots: Worker) -> None:
    await snapshots.take(snapshot(10, "phone", news=True))
    await snapshots.take(snapshot(20, "tablet", sms=True))
    assert snapshots.adobe.has == {"news": True, "sms": True}
    await snapshots.take(snapshot(30, "phone"))
    assert snapshots.adobe.has == {"sms": True}


async def test_a_partial_event_is_sent_with_all_that_is_known(events: Worker) -> None:
    await events.take(choice(10, news=True, offers=False))
    await events.take(choice(20, sms=True))
    assert events.adobe.has == {"news": True, "offers": False, "sms": True}
    assert await events.take(choice(15, sms=False)) == [Superseded()]
    assert await events.take(choice(5, news=False, offers=True)) == [Superseded()]
    assert len(events.adobe.records) == 2


async def test_what_is_emptied_is_left_out_of_the_record_and_remembered(events: Worker) -> None:
    await events.take(choice(10, bags="shoes", news=True))
    assert events.adobe.has == {"bags": "shoes", "news": True}
    assert await events.take(choice(20, bags="")) == [OK]
    assert events.adobe.has == {"news": True}
    assert await events.take(choice(15, bags="hats")) == [Superseded()]
    await events.take(choice(30, sms=True))
    assert events.adobe.has == {"news": True, "sms": True}


@pytest.mark.parametrize(
    ("mappings", "record"),
    [
        pytest.param(
            [{**MAPPINGS[0], "format": "y-n"}, *MAPPINGS[1:]],
            {"news": "y", "sms": True},
            id="another format",
        ),
        pytest.param(MAPPINGS[1:], {"sms": True}, id="no mapping any more"),
        pytest.param(
            [{**MAPPINGS[0], "value": "consents_purposes_other_enabled"}, *MAPPINGS[1:]],
            {"sms": True},
            id="another place",
        ),
    ],
)
async def test_what_is_known_is_written_as_the_mappings_of_today_say(
    store: MemoryStore, mappings: list[dict[str, Any]], record: dict[str, Any]
) -> None:
    await Worker(store).take(choice(10, news=True))
    changed = Worker(store, completed(mappings))
    await changed.take(choice(20, sms=True))
    assert changed.adobe.has == record


async def test_nothing_is_known_of_what_adobe_has_refused(events: Worker) -> None:
    events.adobe.replies = [Retryable(ErrorCode.ADOBE_UNAVAILABLE, "", 503), REFUSED]
    assert await events.take(choice(10, news=True)) != [OK]
    assert await events.take(choice(11, offers=True)) == [REFUSED]
    await events.take(choice(20, sms=True))
    assert events.adobe.has == {"sms": True}
    assert await events.take(choice(10, news=True)) == [OK]
    assert events.adobe.has == {"news": True, "sms": True}


async def test_of_a_refused_message_each_event_stands_for_itself_and_all_is_completed(
    events: Worker,
) -> None:
    await events.take(choice(5, sms=True))
    events.adobe.replies = [REFUSED]
    together = choice(10, news=True), choice(20, bags=""), choice(15, offers=True)
    assert await events.take(*together) == [Untried(), OK, Untried()]
    events.adobe.replies = [REFUSED]
    assert await events.take(together[0], together[2]) == [Untried(), OK]
    assert await events.take(together[0]) == [OK]
    assert events.adobe.records[1:] == [
        {"sms": True},
        {"offers": True, "sms": True},
        {"news": True, "offers": True, "sms": True},
    ]
    await events.take(choice(30, sms=False))
    assert events.adobe.has == {"news": True, "offers": True, "sms": False}


async def test_a_person_who_was_erased_is_not_completed(store: MemoryStore, events: Worker) -> None:
    await events.take(choice(10, news=True))
    user = events.delivery(choice(10, news=True)).user
    tombstone_ms = events.delivery(choice(20, news=True)).choice.event_time_ms
    await store.erase(COMPLETED.id, user, tombstone_ms, 1_000)
    assert await events.take(choice(15, news=True)) == [Erased()]
    await events.take(choice(30, sms=True))
    assert events.adobe.has == {"sms": True}


async def test_a_snapshot_of_before_the_record_of_an_older_worker_is_superseded(
    store: MemoryStore, snapshots: Worker
) -> None:
    delivery = snapshots.delivery(snapshot(20, news=True))
    (granted,) = await store.begin(SNAPSHOTS.id, [Claim(delivery.user, (".",))])
    assert isinstance(granted, Granted)
    record = {".": Stamp(delivery.choice.event_time_ms, 0, False, "phone")}
    settled = [Settlement(delivery.user, granted.lease, record, False)]
    await store.settle(SNAPSHOTS.id, settled, 0)
    assert await snapshots.take(snapshot(10, news=False)) == [Superseded()]
    assert await snapshots.take(snapshot(30, sms=True)) == [OK]
    assert snapshots.adobe.records == [{"sms": True}]


async def test_what_was_sent_and_is_not_known_any_more_is_told() -> None:
    """As after a change of the mode: stamps are there, and nothing beside them."""
    stamp = Stamp(1, 0, False, "e")
    known = Known({"_acme.news": stamp, "_acme.gone": stamp, "~": stamp}, {})
    assert paths_without_value(COMPLETED, known) == {"_acme.news"}


REPEAT = RetryState("shop", is_repeat=True)


@pytest.mark.parametrize("target", [COMPLETED, SNAPSHOTS], ids=["events", "snapshots"])
@in_virtual_time
async def test_whatever_is_accepted_after_an_unclear_record_is_sent_once_more(
    target: Integration,
) -> None:
    """The record without an answer has nothing of what came after it, newer or older."""
    worker = Worker(Store(), target)
    body = choice if target is COMPLETED else snapshot
    first, older = body(20, news=True), body(10, sms=True)
    if target is SNAPSHOTS:
        older = snapshot(10, "tablet", sms=True)
    worker.adobe.replies = [UNCLEAR]
    assert await worker.take(first) == [UNCLEAR]
    planned = worker.delivery(older)
    await worker.runner.deliver(target, [[planned]], RequestSlots(1))
    assert planned.repeat_seconds is not None
    again = worker.delivery(first)
    await worker.runner.deliver(target, [[again]], RequestSlots(1))
    assert again.repeat_seconds is not None, "its own first try had nothing of the other"
    assert worker.adobe.has == {"news": True, "sms": True}
    sent = len(worker.adobe.records)
    await after(130)
    assert await worker.take(older, state=REPEAT) == [OK]
    assert worker.adobe.has == {"news": True, "sms": True}
    assert len(worker.adobe.records) == sent + 1


@pytest.mark.parametrize("target", [COMPLETED, SNAPSHOTS], ids=["events", "snapshots"])
@in_virtual_time
async def test_a_repeat_that_is_unclear_itself_is_not_repeated_for_ever(
    target: Integration,
) -> None:
    worker = Worker(Store(), target)
    said = (choice if target is COMPLETED else snapshot)(20, news=True)
    worker.adobe.replies = [UNCLEAR]
    assert await worker.take(said) == [UNCLEAR]
    assert await worker.take(said) == [OK]
    await after(130)
    worker.adobe.replies = [UNCLEAR]
    assert await worker.take(said, state=REPEAT) == [UNCLEAR]
    again = worker.delivery(said, REPEAT)
    await worker.runner.deliver(target, [[again]], RequestSlots(1))
    assert worker.adobe.has == {"news": True}
    assert again.repeat_seconds is None, "its own first try has said the same"


@in_virtual_time
async def test_a_snapshot_that_takes_back_what_may_still_arrive_is_sent_though_empty() -> None:
    worker = Worker(Store(), SNAPSHOTS)
    await worker.take(snapshot(5, "tablet", sms=True))
    worker.adobe.replies = [UNCLEAR]
    await worker.take(snapshot(10, news=True))
    taken_back = worker.delivery(snapshot(20))
    await worker.runner.deliver(SNAPSHOTS, [[taken_back]], RequestSlots(1))
    assert worker.adobe.records[-1] == {"sms": True}
    assert taken_back.repeat_seconds is not None
    await after(130)
    assert await worker.take(snapshot(20), state=REPEAT) == [OK]
    assert len(worker.adobe.records) == 3


@pytest.mark.parametrize(
    ("target", "has"),
    [
        (SNAPSHOTS, {"offers": True}),
        (MERGED_SNAPSHOTS, {"offers": True, "news": "none", "sms": "none"}),
    ],
    ids=["xdm", "upsert"],
)
@in_virtual_time
async def test_a_newer_snapshot_takes_back_what_the_repeat_beside_it_has_said(
    target: Integration, has: dict[str, Any]
) -> None:
    worker = Worker(Store(), target)
    worker.adobe.replies = [UNCLEAR]
    await worker.take(snapshot(5, sms=True))
    await worker.take(repeated := snapshot(10, news=True))
    await after(130)
    together = [worker.delivery(repeated, REPEAT), worker.delivery(snapshot(20, offers=True))]
    results = dict(await worker.runner.deliver(target, [together], RequestSlots(1)))
    assert [results[one] for one in together] == [Duplicate(), OK]
    assert worker.adobe.has == has


async def test_with_upsert_an_emptied_preference_is_no_message(store: MemoryStore) -> None:
    worker = Worker(store, integration(limits=NO_GAP, mappings=[*MAPPINGS, BAGS]))
    assert await worker.take(choice(20, bags="")) == [Emptied()]
    assert worker.adobe.records == []
    assert await worker.take(choice(10, bags="shoes")) == [Superseded()]
    assert await worker.take(choice(30, bags=""), choice(31, news=True)) == [Emptied(), OK]
    assert worker.adobe.records == [{"news": True}]


async def test_an_event_is_ordered_though_the_mappings_change_under_it(store: MemoryStore) -> None:
    """It was decided by those of before, and what it says is not mapped any more."""
    before = Worker(store)
    await before.take(choice(20, news=False))
    older = before.delivery(choice(10, news=True))
    changed = completed(MAPPINGS[1:])
    [(_, result)] = await before.runner.deliver(changed, [[older]], RequestSlots(1))
    assert result == Superseded()


async def test_what_follows_an_unclear_record_of_the_same_person_is_sent_again(
    events: Worker,
) -> None:
    """It may be carried out late, and has nothing of what its successors have said."""
    events.adobe.replies = [REFUSED, UNCLEAR]
    older, newer = (events.delivery(one) for one in (choice(10, news=True), choice(20, sms=True)))
    results = dict(await events.runner.deliver(events.target, [[older, newer]], RequestSlots(1)))
    assert results == {older: OK, newer: UNCLEAR}
    assert older.repeat_seconds == events.runner.unclear_ms / 1000 + 1
    assert newer.repeat_seconds is None, "it is retried"


async def test_parts_with_clear_answers_are_sent_once(events: Worker) -> None:
    events.adobe.replies = [REFUSED]
    both = [events.delivery(one) for one in (choice(10, news=True), choice(20, sms=True))]
    await events.runner.deliver(events.target, [both], RequestSlots(1))
    await events.runner.deliver(events.target, [both[:1]], RequestSlots(1))
    assert [one.repeat_seconds for one in both] == [None, None]
    assert events.adobe.records == [{"sms": True}, {"news": True, "sms": True}]


@pytest.mark.parametrize("minute", [10, 20])
async def test_of_a_merging_inlet_so_is_what_is_newer_by_its_id_alone(
    store: MemoryStore, minute: int
) -> None:
    merged = integration(limits=NO_GAP, mappings=MAPPINGS)
    worker = Worker(store, merged)
    first = worker.delivery(choice(20, news=True))
    then = worker.delivery(choice(minute, sms=True).replace(b"ev-", b"zz-"))
    worker.adobe.replies = [REFUSED, UNCLEAR]
    results = dict(await worker.runner.deliver(merged, [[first, then]], RequestSlots(1)))
    assert results == {first: UNCLEAR, then: OK}
    assert (then.repeat_seconds is not None) is (minute == 20), "an older one is of something else"

"""What another device of a person has said, and nobody can read any more, is not erased."""

from __future__ import annotations

import orjson
import pytest

from tests.unit.delivery.records import MAPPINGS, NO_GAP, SNAPSHOTS, Adobe, Worker, snapshot
from tests.unit.examples import integration
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.delivery.rounds.round_results import Result
from worker.ordering.memory_store import MemoryStore
from worker.ordering.store_protocol import Timing
from worker.reasons import ErrorCode

OK = Accepted("x")
NOTE = {"id": "_acme.note", "value": "metadata_note"}
LONGEST_KEPT = 700_000


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(Timing())


def after_a_wrong_change_of_secret(store: MemoryStore, adobe: Adobe) -> Worker:
    """It knows whose state it is, and opens nothing of it."""
    other = Worker(store, SNAPSHOTS, secret=b"present", adobe=adobe)
    other.keys = Worker(store, SNAPSHOTS, secret=b"former").keys
    return other


def is_unreadable(results: list[Result]) -> bool:
    (result,) = results
    return isinstance(result, Retryable) and result.error is ErrorCode.STATE_UNREADABLE


async def test_a_snapshot_waits_that_would_leave_out_what_is_sealed_for_ever(
    store: MemoryStore,
) -> None:
    before = Worker(store, SNAPSHOTS, secret=b"former")
    assert await before.take(snapshot(10, "tablet", offers=True)) == [OK]
    worker = after_a_wrong_change_of_secret(store, before.adobe)
    assert is_unreadable(await worker.take(snapshot(20, "phone", news=True)))
    assert before.adobe.records == [{"offers": True}]
    assert worker.adobe.looked_up == 0, "what is found tells not whose it is"


async def test_who_said_it_may_say_or_take_it_back_and_all_goes_on(store: MemoryStore) -> None:
    before = Worker(store, SNAPSHOTS, secret=b"former")
    await before.take(snapshot(10, "tablet", offers=True))
    worker = after_a_wrong_change_of_secret(store, before.adobe)
    assert await worker.take(snapshot(20, "tablet", sms=True)) == [OK]
    assert await worker.take(snapshot(30, "phone", news=True)) == [OK]
    assert worker.adobe.has == {"news": True, "sms": True}


async def test_a_snapshot_that_says_all_of_it_anew_is_sent(store: MemoryStore) -> None:
    before = Worker(store, SNAPSHOTS, secret=b"former")
    await before.take(snapshot(10, "tablet", offers=True))
    worker = after_a_wrong_change_of_secret(store, before.adobe)
    assert await worker.take(snapshot(20, "phone", offers=False)) == [OK]
    assert worker.adobe.has == {"offers": False}


async def test_a_part_of_a_message_leaves_it_out_no_more_than_the_whole(
    store: MemoryStore,
) -> None:
    """The phone's names what the tablet had said, the laptop's does not, and both wait together."""
    before = Worker(store, SNAPSHOTS, secret=b"former")
    await before.take(snapshot(10, "tablet", offers=True))
    worker = after_a_wrong_change_of_secret(store, before.adobe)
    worker.adobe.replies = [Permanent(ErrorCode.ADOBE_REJECTED, "HTTP 400", 400, fault="message")]
    phone, laptop = await worker.take(
        snapshot(20, "phone", offers=False), snapshot(30, "laptop", news=True)
    )
    assert is_unreadable([laptop])
    assert phone == OK
    assert worker.adobe.has == {"offers": False}
    assert await worker.take(snapshot(30, "laptop", news=True)) == [OK]
    assert worker.adobe.has == {"offers": False, "news": True}


async def test_an_upsert_that_is_taken_apart_erases_nothing_and_is_sent(
    store: MemoryStore,
) -> None:
    """What it leaves out stays at Adobe."""
    before = Worker(store, SNAPSHOTS, secret=b"former")
    await before.take(snapshot(10, "tablet", offers=True))
    worker = after_a_wrong_change_of_secret(store, before.adobe)
    mappings = [one | {"absent": False} for one in MAPPINGS]
    worker.target = integration(events="user", limits=NO_GAP, mappings=mappings)
    worker.adobe.replies = [Permanent(ErrorCode.ADOBE_REJECTED, "HTTP 400", 400, fault="message")]
    results = await worker.take(snapshot(20, "phone", sms=True), snapshot(30, "laptop", news=True))
    assert results == [OK, OK]


def with_note(minute: int, user: str, characters: int) -> bytes:
    document = orjson.loads(snapshot(minute, user, news=True))
    document["parameters"]["new_entity"]["metadata"] = {"note": "a" * characters}
    return orjson.dumps(document)


@pytest.mark.parametrize(("characters", "is_kept"), [(LONGEST_KEPT, True), (900_000, False)])
async def test_what_is_too_long_to_be_kept_is_not_left_out(
    store: MemoryStore, characters: int, is_kept: bool
) -> None:
    shop = integration(payload_mode="xdm", events="user", limits=NO_GAP, mappings=[*MAPPINGS, NOTE])
    worker = Worker(store, shop)
    assert await worker.take(with_note(10, "tablet", characters)) == [OK]
    results = await worker.take(snapshot(20, "phone", sms=True))
    assert (results == [OK]) is is_kept
    assert is_unreadable(results) is not is_kept
    assert len(worker.adobe.has["note"]) == characters

"""An event is called otherwise when it comes again: the fleet was upgraded to a version that makes
a digest of its id, or has another secret for digests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.unit.delivery.fleet import Fleet
from tests.unit.delivery.pipeline_parts import Worker as PipelineWorker
from tests.unit.delivery.pipeline_parts import body
from tests.unit.delivery.records import SNAPSHOTS, Worker, snapshot
from tests.unit.delivery.test_repeats import MARK_SECONDS, NEWEST, OLD, Late, a_fleet
from tests.unit.delivery.virtual_time import after, in_virtual_time
from tests.unit.examples import event_document, integration
from worker.adobe.replies import Accepted
from worker.broker.retry_state import RetryState
from worker.delivery.rounds.round_results import Duplicate
from worker.events import Envelope
from worker.ordering.event_digests import former_id
from worker.ordering.sqlite_store import SqliteStore
from worker.ordering.store_protocol import Timing
from worker.ordering.user_digests import UserKeys
from worker.redaction import shown_id

SECRET = b"a secret"
PERSONAL = ("0-20240101123456", "zz-20240101123456", "lena@northwind.example", "z" * 70)
"""Whose digests come before and after them."""
pytestmark = pytest.mark.parametrize("event_id", PERSONAL)


class FormerKeys(UserKeys):
    """Those of a worker of the version 0.3.0."""

    def without_person(self, envelope: Envelope) -> Envelope:
        return envelope._replace(event_id=former_id(envelope.event_id))


def new(event_id: str) -> bytes:
    assert shown_id(event_id) is None
    return body(event_id, ago=40, enabled=False, user="lena")


def _a_former_fleet() -> tuple[Fleet, Late]:
    fleet, adobe = a_fleet()
    _replace_workers(fleet, FormerKeys(SECRET))
    return fleet, adobe


def _upgrade(fleet: Fleet) -> None:
    _replace_workers(fleet, UserKeys(SECRET))


def _replace_workers(fleet: Fleet, keys: UserKeys) -> None:
    (before,) = fleet.workers
    worker = PipelineWorker(fleet.adobe, fleet.store, shop=before.shop, users=keys)
    worker.told = before.told
    fleet.workers[:] = [worker]


def _ends(fleet: Fleet) -> list[str]:
    return [one.partition(": ")[2] or one for one in fleet.told if not one.endswith(" s")]


@in_virtual_time
async def test_a_repeat_of_before_an_upgrade_is_one_after_it(event_id: str) -> None:
    fleet, adobe = _a_former_fleet()
    adobe.late = [60]
    fleet.give(OLD)
    await after(2)
    fleet.give(new(event_id))
    await after(20)
    _upgrade(fleet)
    await after(39)
    assert adobe.record == {"news": True}, "the older one was carried out late"
    await after(MARK_SECONDS)
    assert adobe.record == {"news": False}
    assert _ends(fleet) == ["retried", "delivered", "superseded", "repeated"]


@in_virtual_time
async def test_a_newer_choice_supersedes_the_repeat_all_the_same(event_id: str) -> None:
    fleet, adobe = _a_former_fleet()
    adobe.late = [30]
    fleet.give(OLD)
    await after(2)
    fleet.give(new(event_id))
    await after(MARK_SECONDS - 30)
    _upgrade(fleet)
    fleet.give(NEWEST)
    await after(MARK_SECONDS)
    assert adobe.record == {"news": True}
    assert _ends(fleet)[-2:] == ["superseded", "repeated"]


@in_virtual_time
async def test_the_copy_of_what_was_handed_over_is_known_after_an_upgrade(event_id: str) -> None:
    fleet, adobe = _a_former_fleet()
    adobe.answers.clear()
    fleet.give(new(event_id))
    await after(10)
    assert fleet.line.handed_over == 1
    adobe.answers.set()
    await after(1)
    _upgrade(fleet)
    await after(100)
    assert fleet.told == ["retried", "accepted late", "delivered"]
    assert adobe.asked == 1


@in_virtual_time
async def test_a_copy_of_what_a_worker_died_with_is_repeated_after_an_upgrade(
    event_id: str,
) -> None:
    fleet, adobe = _a_former_fleet()
    adobe.late = [100]
    fleet.give(OLD)
    await after(2)
    fleet.give(new(event_id))
    await after(1)
    fleet.line.take = lambda *_: None  # what it has published is lost with it
    _upgrade(fleet)
    fleet.give(new(event_id))
    await after(1)
    assert fleet.told[-2] == "duplicate"
    assert fleet.told[-1].startswith("repeat of ")
    assert adobe.asked == 2


def personal(event_id: str) -> bytes:
    return orjson.dumps(event_document(id=event_id))


def of_a_snapshot(event_id: str) -> bytes:
    return snapshot(9, event_id, news=True)


@pytest.mark.parametrize("made", [personal, of_a_snapshot])
@pytest.mark.parametrize(("old", "new"), [(b"old", b"new"), (b"", b"new"), (b"new", b"old")])
async def test_a_rotation_of_the_secret_makes_no_new_choice_of_a_copy(
    event_id: str, made: Any, old: bytes, new: bytes, tmp_path: Path
) -> None:
    def worker(present: bytes, other: bytes) -> Worker:
        marks = UserKeys(present, other).marks
        store = SqliteStore(tmp_path / "state.sqlite", Timing(60, 1_000), marks=marks)
        target = SNAPSHOTS if made is of_a_snapshot else integration(limits=SNAPSHOTS.limits)
        return Worker(store, target, secret=present, previous=other)

    first = worker(old, new)
    assert await first.take(made(event_id)) == [Accepted("x")]
    await first.store.close()
    second = worker(new, old)
    assert await second.take(made(event_id)) == [Duplicate()]
    repeat = RetryState("shop", is_repeat=True)
    assert await second.take(made(event_id), state=repeat) == [Accepted("x")]
    await second.store.close()
    back = worker(old, new)
    assert await back.take(made(event_id)) == [Duplicate()]
    await back.store.close()

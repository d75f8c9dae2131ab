"""A wrong clock, or a receipt that says just anything, neither ends the ledger nor misleads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devtools.made_receipts import MadeWorker, made_now_ms, receipt
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file
from worker.evidence.bounded_json import EARLIEST_MS
from worker.evidence.receipt import Receipt
from worker.ledger.conservation import OVERDUE_MS, Conservation
from worker.ledger.overview import overview
from worker.ledger.schema import MINUTES
from worker.ledger.stories import Wanted, find_event

DAY_MS = 86_400_000


@pytest.fixture(name="now")
def _now() -> int:
    """When the test begins: long after it was gathered, in a run of all."""
    return made_now_ms()


def _received(event: str, at: int, **changes: Any) -> Receipt:
    usual: dict[str, Any] = {
        "outcome": "received",
        "integration": "",
        "attributes": {},
        "choice": None,
    }
    return receipt(event, at=at, **(usual | changes))


def _conservation(ledger: LedgerFile, now_ms: int) -> Conservation:
    with ledger.transaction() as connection:
        return overview(connection, now_ms).conservation


def test_whatever_time_a_delivery_is_said_to_have_taken_the_ledger_goes_on(tmp_path: Path) -> None:
    worker = MadeWorker()
    hostile = [receipt(f"ev-{n}", at=2**53, event_at=EARLIEST_MS) for n in range(1_100)]
    with ledger_file(tmp_path) as ledger:
        assert ledger.take(worker.receipts(hostile)) == {}
        with ledger.transaction() as connection:
            connection.execute(MINUTES.update().values(lag_ms=2**63 - 2))
        assert ledger.take(worker.receipts(hostile)) == {}
        assert sum(row.receipts for row in ledger.rows(MINUTES)) == 2_200
        assert max(row.most_lag_ms for row in ledger.rows(MINUTES)) == 366 * DAY_MS


def test_a_door_whose_clock_jumped_ahead_makes_no_queue_look_lost_afterwards(
    tmp_path: Path, now: int
) -> None:
    door, worker = MadeWorker("door:1"), MadeWorker()
    with ledger_file(tmp_path) as ledger:
        ledger.take(door.receipts([_received("ahead", now + DAY_MS)]))
        ledger.take(worker.receipts([receipt("ahead", at=now)]))
        ledger.take(door.receipts([_received("waits", now)]))
        later = _conservation(ledger, now + 2 * OVERDUE_MS).awaited
    assert (later.events, later.overtaken) == (1, ())


def test_what_such_a_door_received_is_missed_when_others_have_an_outcome(
    tmp_path: Path, now: int
) -> None:
    door, worker = MadeWorker("door:1"), MadeWorker()
    with ledger_file(tmp_path) as ledger:
        ledger.take(door.receipts([_received("lost", now + DAY_MS)]))
        later_ms = made_now_ms() + 2 * OVERDUE_MS
        ledger.take(door.receipts([_received("later", later_ms)]), now_ms=later_ms)
        ledger.take(worker.receipts([receipt("later", at=later_ms)]), now_ms=later_ms)
        (overtaken,) = _conservation(ledger, later_ms).awaited.overtaken
    assert (overtaken.events, overtaken.first_ones) == (1, ("lost",))


def test_what_waits_is_overdue_whatever_time_its_worker_says(tmp_path: Path, now: int) -> None:
    waits = {"outcome": "retried", "reason": "timeout"}
    ahead = receipt("ahead", at=now + DAY_MS, due_at=now + DAY_MS + 5_000, **waits)
    long = receipt("long", at=now - 2 * OVERDUE_MS, due_at=2**53, **waits)
    with ledger_file(tmp_path) as ledger:
        ledger.take(MadeWorker().receipts([ahead, long]))
        soon = _conservation(ledger, now + OVERDUE_MS)
        later = _conservation(ledger, made_now_ms() + 2 * OVERDUE_MS + 1)
        with ledger.transaction() as connection:
            (story,) = find_event(connection, "ahead", Wanted(until=made_now_ms() + 1)).stories
    assert [one.events for one in soon.missing] == [1]
    assert [one.events for one in later.missing] == [2]
    assert story.steps[0].receipt == ahead, "what it said stays as it was"

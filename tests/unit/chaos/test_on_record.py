"""What a run of chaos takes for a hole in the evidence."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table

from devtools.chaos.check import Ends, Letter
from devtools.chaos.on_record import (
    not_on_record,
    read_recorded,
    unwritten,
    wrong_on_record,
)
from worker.evidence.receipt import OutcomeName
from worker.ledger.database import Database
from worker.ledger.migrations import upgrade
from worker.ledger.packing import OUTCOME_NUMBERS, pack_event
from worker.ledger.schema import LIVES, NAMES, RECEIPTS

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
ONCE = Counter({("batches", "old"): 1})
DELIVERED = Ends(delivered=Counter({("batches", "old"): 1}))


def entry(second: float, event: str, event_id: str = "", **more: Any) -> dict[str, Any]:
    told = {"event": event, "timestamp": (BEGAN + timedelta(seconds=second)).isoformat()} | more
    return told | {"integration": "batches", "event_id": event_id} if event_id else told


def delivered(second: float, event_id: str) -> dict[str, Any]:
    return entry(second, "delivery.delivered", event_id)


def ids_of(entries: list[dict[str, Any]]) -> set[str]:
    return {event_id for _, event_id in unwritten(entries, {})}


# What a process may have taken along


def test_a_process_whose_receipts_were_never_away_takes_none_along() -> None:
    assert ids_of([delivered(0, "first"), delivered(1, "second")]) == set()


def test_what_was_unwritten_when_receipts_went_away_may_be_gone_with_their_process() -> None:
    before = [delivered(0, "written"), delivered(1, "waits"), delivered(1, "waits, too")]
    away = entry(3, "receipts.away", waiting=2)
    assert ids_of([*before, away, delivered(9, "after")]) == {"waits", "waits, too", "after"}


def test_it_is_told_by_the_events_own_name() -> None:
    entries = [entry(0, "receipts.away", waiting=0), delivered(1, "its-digest")]
    assert unwritten(entries, {"its-digest": "old"}) == {("batches", "old")}


def test_what_was_kept_is_written_soon_after_receipts_are_back() -> None:
    gone = [delivered(0, "waits"), entry(2, "receipts.away", waiting=1)]
    back = [*gone, entry(8, "receipts.back", waiting=1)]
    assert ids_of([*back, delivered(9, "soon")]) == {"waits", "soon"}
    assert ids_of([*back, delivered(20, "later")]) == set()


def test_receipts_that_go_away_again_before_all_is_written_take_along_all_that_waits() -> None:
    entries = [delivered(0, "waits"), entry(2, "receipts.away", waiting=1)]
    entries += [entry(8, "receipts.back", waiting=1), entry(9, "receipts.away", waiting=1)]
    assert ids_of([*entries, delivered(60, "after")]) == {"waits", "after"}


# What is missing on record


def test_an_event_with_an_end_on_record_is_there() -> None:
    for end in ("delivered", "skipped", "dead"):
        assert not_on_record(ONCE, {("batches", "old"): end}, set(), {}) == []


@pytest.mark.parametrize("recorded", [{}, {("batches", "old"): "retried"}])
def test_an_event_without_an_end_on_record_is_missing(recorded: dict[Any, str]) -> None:
    (problem,) = not_on_record(ONCE, recorded, set(), {})
    assert problem.startswith("batches: old has no end on record")


def test_what_a_process_took_along_or_has_counted_is_named_and_so_is_nothing_else() -> None:
    assert not_on_record(ONCE, {}, {("batches", "old")}, {}) == []
    assert not_on_record(ONCE, {}, set(), {"batches": 1}) == []
    assert not_on_record(ONCE, {}, set(), {"single": 1}) != []


def test_what_nobody_has_published_is_told() -> None:
    recorded = {("batches", "old"): "delivered", ("batches", "who"): "retried"}
    (problem,) = not_on_record(ONCE, recorded, set(), {})
    assert problem == "batches: who is on record, and nobody has published it"


# What is wrong on record


def test_an_end_on_record_that_nobody_has_seen_is_wrong() -> None:
    assert wrong_on_record({("batches", "old"): "delivered"}, DELIVERED, []) == []
    assert len(wrong_on_record({("batches", "old"): "skipped"}, DELIVERED, [])) == 1
    assert len(wrong_on_record({("batches", "old"): "dead"}, DELIVERED, [])) == 1
    letters = [Letter("batches", "old", "retries-exhausted")]
    assert wrong_on_record({("batches", "old"): "dead"}, Ends(), letters) == []
    assert wrong_on_record({("batches", "old"): "retried"}, DELIVERED, []) == []


# The ledger's file


def _zeros(table: Table) -> dict[str, Any]:
    """For all columns that need a value."""
    return {one.name: 0 for one in table.columns if not one.nullable}


def test_the_best_end_of_an_events_lives_is_read(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    database = Database(f"sqlite://{file}", writes=True)
    upgrade(database)
    with database.transaction() as connection:
        connection.execute(NAMES.insert().values(id=77, text="batches"))
        ends: tuple[OutcomeName, ...] = ("dead", "delivered", "retried")
        for number, end in enumerate(ends, 1):
            receipt = _zeros(RECEIPTS) | {"id": number, "event": pack_event("digest"), "said": ""}
            connection.execute(RECEIPTS.insert().values(**receipt))
            life = _zeros(LIVES) | {"id": number, "life": bytes([number]), "last_id": number}
            life |= {"integration_id": 77, "outcome": OUTCOME_NUMBERS[end]}
            connection.execute(LIVES.insert().values(**life))
    database.close()
    assert read_recorded(file, {"digest": "old"}) == {("batches", "old"): "delivered"}

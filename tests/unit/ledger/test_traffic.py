"""What came of the events of a time: by outcome, by how long it took, by what is still open."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from devtools.made_receipts import MadeWorker, made_now_ms, receipt
from tests.unit.ledger.ledger_file import ledger_file
from worker.evidence.receipt import Receipt
from worker.ledger import honour_times as honour_module
from worker.ledger.honour_times import honour_times
from worker.ledger.letter_group_list import letter_groups
from worker.ledger.outcome_series import Slots, all_series, outcome_series
from worker.ledger.reason_counts import reason_counts
from worker.ledger.stored_receipts import latest_receipts

NOW = made_now_ms()
MINUTE = 60_000


def _ago(minutes: float, **changes: Any) -> Receipt:
    at = NOW - int(minutes * MINUTE)
    lag = changes.pop("lag", 250)
    return receipt(**({"at": at, "event_at": at - lag} | changes))


RECEIPTS = [
    _ago(90),
    _ago(59, choice="withdrawn"),
    _ago(10, outcome="dead", reason="adobe-rejected", choice="withdrawn", status=400),
    _ago(10, outcome="dead", reason="adobe-rejected", integration="travel", status=400),
    _ago(5, outcome="retried", reason="timeout", due_at=NOW, integration="travel"),
    _ago(
        4,
        outcome="parked",
        reason="lane-full",
        due_at=NOW + 9_000,
        integration="travel",
        choice=None,
    ),
    _ago(1, lag=4_000, choice="withdrawn"),
    _ago(0),
]


@pytest.fixture(scope="module", name="connection")
def _connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with ledger_file(tmp_path_factory.mktemp("traffic")) as ledger:
        worker = MadeWorker()
        ledger.take(worker.begin(), worker.receipts(RECEIPTS))
        with ledger.transaction() as connection:
            yield connection


def test_receipts_are_counted_in_their_slots(connection: Connection) -> None:
    slots = Slots.until(NOW, 1, 60)
    series = outcome_series(connection, slots)
    assert series.total("delivered") == 3, "what is older than the first slot is not of this time"
    assert series.receipts["delivered"][-2:] == [1, 1]
    assert (series.total("dead"), series.withdrawn["dead"]) == (2, 1)
    assert series.total("retried", "parked") == 2
    assert sum(series.receipts["received"]) == 0
    mine = outcome_series(connection, slots, "travel")
    assert (mine.total("delivered"), mine.total("dead")) == (0, 1)
    nobody = outcome_series(connection, slots, "nobody")
    assert nobody.total("delivered", "dead", "parked") == 0


def test_each_integration_has_its_own(connection: Connection) -> None:
    found = all_series(connection, Slots.until(NOW, 15, 4))
    assert {name: sum(counts) for name, counts in found.items()} == {"shop": 4, "travel": 3}


def test_reasons_are_counted_with_their_first_and_last_minute(connection: Connection) -> None:
    counts = reason_counts(connection, Slots.until(NOW, 1, 60), "travel")
    assert [(one.outcome, one.reason, one.receipts) for one in counts] == [
        ("parked", "lane-full", 1),
        ("retried", "timeout", 1),
        ("dead", "adobe-rejected", 1),
    ]
    times = {one.at for one in RECEIPTS}
    assert all(one.first_at == one.last_at and one.last_at in times for one in counts)


def test_what_adobe_answered_last_is_told_with_each_reason(connection: Connection) -> None:
    counts = reason_counts(connection, Slots.until(NOW, 1, 60), "travel")
    said = {one.reason: one.status for one in RECEIPTS if one.integration == "travel"}
    for one in counts:
        status = said[one.reason]
        assert one.statuses == (() if status is None else (status,))
    assert counts[-1].statuses == (400,)


def test_times_to_honour_are_of_what_was_delivered(connection: Connection) -> None:
    times = honour_times(connection, Slots.until(NOW, 2, 30))
    assert times.withdrawn == (2, 250, 4_000)
    assert times.given == (1, 250, 250)
    assert times.withdrawn_by_slot[-1] == (1, 4_000, 4_000)
    assert not times.is_sample
    mine = honour_times(connection, Slots.until(NOW, 2, 30), "travel")
    assert (mine.withdrawn, mine.given) == (None, None)


def test_groups_and_receipts_of_one_integration(connection: Connection) -> None:
    groups = letter_groups(connection, integration="travel")
    assert [(one.fingerprint.integration, one.letters) for one in groups] == [("travel", 1)]
    latest = latest_receipts(connection, "shop", 2)
    assert [one.receipt.at for one in latest] == [RECEIPTS[-1].at, RECEIPTS[-2].at]
    assert latest_receipts(connection, "nobody", 2) == []


def test_of_many_a_sample_tells_nearly_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(5)
    with ledger_file(tmp_path) as ledger:
        worker = MadeWorker()
        ledger.take(worker.begin())
        for start in range(6_000, 0, -500):
            some = [
                _ago((start - n) / 100, lag=int(chance.expovariate(1 / 1000))) for n in range(500)
            ]
            ledger.take(worker.receipts(some))
        with ledger.transaction() as connection:
            slots = Slots.until(NOW, 2, 30)
            exact = honour_times(connection, slots)
            monkeypatch.setattr(honour_module, "MOST_LOOKED_AT", 2_000)
            sampled = honour_times(connection, slots)
    assert exact.given is not None
    assert sampled.given is not None
    assert (exact.is_sample, sampled.is_sample) == (False, True)
    assert sampled.looked_at == 2_000
    assert sampled.given.times == pytest.approx(2_000, abs=50)
    assert sampled.given.p50_ms == pytest.approx(exact.given.p50_ms, rel=0.15)
    assert sampled.given.p99_ms == pytest.approx(exact.given.p99_ms, rel=0.3)

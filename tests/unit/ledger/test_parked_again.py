"""What is parked again without a receipt is not overdue, and nothing else is spared by that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from devtools.made_receipts import MadeWorker, made_now_ms, receipt, state
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file
from worker.ledger.conservation import OVERDUE_MS
from worker.ledger.overview import overview
from worker.ledger.parked_again_events import PARKED_AGAIN
from worker.ledger.records import Start
from worker.ledger.retention import prune

HOUR_MS = 3_600_000
NOW = made_now_ms()
SOON = NOW + 100_000


def _parked(event: str, **changes: Any) -> Any:
    waits = {"outcome": "parked", "reason": "paused", "at": NOW - HOUR_MS}
    return receipt(event, **{**waits, "due_at": NOW - HOUR_MS + 4_000, **changes})


def _told(worker: MadeWorker, at: int = NOW, **parked_again: int) -> bytes:
    return worker.chain.message("state", [state(parked_again=parked_again)], at)


def _missing(ledger: LedgerFile, now_ms: int = NOW) -> dict[str, int]:
    with ledger.transaction() as connection:
        missing = overview(connection, now_ms).conservation.missing
    return {one.where: one.events for one in missing}


def test_only_what_is_parked_at_that_integration_is_spared(tmp_path: Path) -> None:
    worker = MadeWorker()
    lives = [
        _parked("ev-1"),
        _parked("ev-2", reason="blocked"),
        _parked("ev-3", outcome="retried", reason="timeout"),
        _parked("ev-4", integration="other"),
        _parked("ev-5", integration="", reason="in-doubt"),
    ]
    all_of_them = {"integration shop": 3, "integration other": 1, "no integration": 1}
    with ledger_file(tmp_path) as ledger:
        ledger.take(worker.receipts(lives), worker.state(state()))
        assert _missing(ledger) == all_of_them
        ledger.take(_told(worker, shop=SOON))
        spared = {"integration shop": 1, "integration other": 1, "no integration": 1}
        assert _missing(ledger) == spared
        ledger.take(_told(worker, **{"": SOON, "customer without a life": SOON}))
        assert _missing(ledger) == {"integration shop": 1, "integration other": 1}
        assert _missing(ledger, SOON + OVERDUE_MS) == {
            "integration shop": 1,
            "integration other": 1,
        }
        assert _missing(ledger, SOON + OVERDUE_MS + 1) == all_of_them


@pytest.mark.parametrize("at_once", [False, True])
def test_the_latest_of_what_several_workers_tell_counts(tmp_path: Path, at_once: bool) -> None:
    first, second = MadeWorker("host:1"), MadeWorker("host:2")
    told = [_told(first, shop=SOON), _told(second, shop=SOON - 50_000), _told(first)]
    with ledger_file(tmp_path) as ledger:
        ledger.take(first.receipts([_parked("ev-1")]))
        for some in [told] if at_once else [[one] for one in told]:
            ledger.take(*some)
        assert [row.due_at for row in ledger.rows(PARKED_AGAIN)] == [SOON]
        assert _missing(ledger) == {}


def test_a_clock_that_is_ahead_spares_nothing_for_long(tmp_path: Path) -> None:
    worker = MadeWorker()
    with ledger_file(tmp_path) as ledger:
        ledger.take(worker.receipts([_parked("ev-1")]), _told(worker, shop=NOW + HOUR_MS))
        assert _missing(ledger) == {}
        ledger.take(_told(worker, at=NOW + 24 * HOUR_MS, shop=NOW + 48 * HOUR_MS))
        assert _missing(ledger, NOW + HOUR_MS) == {"integration shop": 1}


@pytest.mark.parametrize("said", [7, "x", [], {"shop": "x"}, {"shop": -1}, {"shop": None}])
def test_what_is_no_time_counts_for_nothing(tmp_path: Path, said: object) -> None:
    worker = MadeWorker()
    row = orjson.dumps(orjson.loads(state(taken=1, settled=1)) | {"parked_again": said})
    with ledger_file(tmp_path) as ledger:
        ledger.take(worker.receipts([_parked("ev-1")]))
        ledger.take(worker.chain.message("state", [row], NOW))
        assert _missing(ledger) == {"integration shop": 1}
        assert ledger.count(PARKED_AGAIN) == 0


def test_where_records_are_lost_what_was_spared_is_awaited_no_more(tmp_path: Path) -> None:
    """Its outcome may have stood there. What was missing before stays missing."""
    worker = MadeWorker()
    lives = [_parked("ev-1"), _parked("ev-2", integration="other")]
    with ledger_file(tmp_path) as ledger:
        ledger.take(worker.receipts(lives), _told(worker, shop=SOON))
        ledger.taking_in.begin(Start(9, is_recreated=False, lost=7), NOW)
        assert _missing(ledger, NOW + HOUR_MS) == {"integration other": 1}


def test_it_goes_when_it_is_old(tmp_path: Path) -> None:
    worker = MadeWorker()
    with ledger_file(tmp_path) as ledger:
        ledger.take(_told(worker, shop=SOON))
        for before_ms, left in ((NOW, 1), (SOON + 1, 0)):
            with ledger.transaction() as connection:
                while prune(connection, before_ms):
                    pass
            assert ledger.count(PARKED_AGAIN) == left

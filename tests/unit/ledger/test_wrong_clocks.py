"""A wrong clock, or a receipt that says just anything, neither ends the ledger nor misleads it."""

from __future__ import annotations

from pathlib import Path

from devtools.made_receipts import MadeWorker, receipt
from tests.unit.ledger.ledger_file import ledger_file
from worker.evidence.bounded_json import EARLIEST_MS
from worker.ledger.schema import MINUTES

DAY_MS = 86_400_000


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

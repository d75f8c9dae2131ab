"""How many receipts came in each minute, by integration, outcome, reason and kind of choice."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, select

from worker.evidence.receipt import Receipt
from worker.ledger.database import put_all
from worker.ledger.life import DELIVERED, Life
from worker.ledger.packing import CHOICE_NUMBERS
from worker.ledger.schema import MINUTES

_NO_CHOICE: Final = -1
MINUTE_MS: Final = 60_000
_MOST_LAG_MS: Final = 366 * 86_400_000
"""Of one receipt; a worker that writes a longer one has a clock that is wrong."""
_LARGEST: Final = 2**63 - 1
"""Of what a column takes; whoever may write to the stream can fill up any sum."""


def count_minute(minutes: dict[tuple[int, ...], list[int]], receipt: Receipt, life: Life) -> None:
    """Add a receipt, which is `life` by itself, to the counts of that one's minute."""
    choice = _NO_CHOICE if receipt.choice is None else CHOICE_NUMBERS[receipt.choice]
    place = (
        life.at // MINUTE_MS,
        life.integration_id,
        life.outcome,
        life.reason_id,
        choice,
    )
    lag = 0
    if life.outcome == DELIVERED and receipt.event_at is not None:
        lag = min(max(0, receipt.at - receipt.event_at), _MOST_LAG_MS)
    counts = minutes.setdefault(place, [0, 0, 0])
    counts[0] += 1
    counts[1] += lag
    counts[2] = max(counts[2], lag)


def write_minutes(connection: Connection, minutes: dict[tuple[int, ...], list[int]]) -> None:
    """Add the counts of receipts by minute to those that are in the table."""
    query = select(MINUTES).where(MINUTES.c.minute.in_({place[0] for place in minutes}))
    for *place, receipts, lag_ms, most_lag_ms in connection.execute(query):
        counts = minutes.get(tuple(place))
        if counts is not None:
            counts[0] += receipts
            counts[1] = min(counts[1] + lag_ms, _LARGEST)
            counts[2] = max(counts[2], most_lag_ms)
    put_all(connection, MINUTES, [(*place, *counts) for place, counts in minutes.items()])

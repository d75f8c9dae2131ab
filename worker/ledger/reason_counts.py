"""How often each outcome of an integration had which reason, and what Adobe answered last."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, select

from worker.evidence.receipt import OutcomeName
from worker.ledger.dictionary import id_of, texts_of
from worker.ledger.minutes import MINUTE_MS
from worker.ledger.outcome_series import Slots, within
from worker.ledger.packing import OUTCOMES
from worker.ledger.schema import MINUTES, RECEIPTS

_LOOKED_AT: Final = 20
"""Reasons whose receipts are asked for: a page shows fewer."""


class ReasonCount(NamedTuple):
    """How often an outcome had a reason, and from when to when (ms since 1970). `statuses` are the
    HTTP statuses of its last minute.
    """

    outcome: OutcomeName
    reason: str
    receipts: int
    first_at: int
    last_at: int
    statuses: tuple[int, ...]


def reason_counts(connection: Connection, slots: Slots, integration: str) -> list[ReasonCount]:
    """How often outcomes of an integration had which reason, the latest first."""
    integration_id = id_of(connection, integration)
    last = func.max(MINUTES.c.minute)
    query = (
        select(
            MINUTES.c.outcome,
            MINUTES.c.reason_id,
            func.sum(MINUTES.c.receipts),
            func.min(MINUTES.c.minute),
            last,
        )
        .where(*within(slots), MINUTES.c.integration_id == integration_id)
        .group_by(MINUTES.c.outcome, MINUTES.c.reason_id)
        .order_by(last.desc())
    )
    rows = connection.execute(query).all()
    names = texts_of(connection, [row[1] for row in rows])
    found = []
    for place, (outcome, reason_id, count, first, latest) in enumerate(rows):
        ends = (first * MINUTE_MS, latest * MINUTE_MS)
        statuses: tuple[int, ...] = ()
        if place < _LOOKED_AT:
            began, _, _ = _minute(connection, integration_id, outcome, reason_id, first)
            _, ended, statuses = _minute(connection, integration_id, outcome, reason_id, latest)
            ends = (began or ends[0], ended or ends[1])
        found.append(
            ReasonCount(OUTCOMES[outcome], names.get(reason_id, ""), count, *ends, statuses)
        )
    return sorted(found, key=lambda one: -one.last_at)


def _minute(
    connection: Connection, integration_id: int | None, outcome: int, reason_id: int, minute: int
) -> tuple[int | None, int | None, tuple[int, ...]]:
    """The first and last time, and the statuses, of receipts of one minute; Nones where they were
    pruned.
    """
    start = minute * MINUTE_MS
    query = (
        select(RECEIPTS.c.status, func.min(RECEIPTS.c.at), func.max(RECEIPTS.c.at))
        .where(
            RECEIPTS.c.integration_id == integration_id,
            RECEIPTS.c.at >= start,
            RECEIPTS.c.at < start + MINUTE_MS,
            RECEIPTS.c.outcome == outcome,
            RECEIPTS.c.reason_id == reason_id,
        )
        .group_by(RECEIPTS.c.status)
    )
    rows: list[Any] = list(connection.execute(query).all())
    if not rows:
        return None, None, ()
    statuses = tuple(sorted(row[0] for row in rows if row[0] is not None))
    return min(row[1] for row in rows), max(row[2] for row in rows), statuses

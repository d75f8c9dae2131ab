"""Events that are parked again and again in bundles that nobody opens.

While a customer is paused, blocked or in doubt, its parked events come back and are parked again
whole, without a receipt: of a million events that would be a million writes each time. So their
receipts say when they were due first. Workers tell until when the latest bundle of an integration
is parked, and as long as there is one, none of its parked events is overdue. One that was lost is
named ten minutes after the last bundle was due, where it still has no outcome then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import BigInteger, Column, ColumnElement, Connection, Table, select

from worker.ledger.database import put_all, rows_with
from worker.ledger.dictionary import Dictionary
from worker.ledger.life import PARKED
from worker.ledger.schema import LIVES, METADATA

PARKED_AGAIN: Final = Table(
    "parked_again",
    METADATA,
    Column("integration_id", BigInteger, primary_key=True),
    Column("due_at", BigInteger, nullable=False),
)
"""When the latest bundle is due that was parked again unopened, of each integration that had any.
"""


def note_parked_again(
    connection: Connection, dictionary: Dictionary, told: Mapping[str, int]
) -> None:
    """Until when (ms since 1970) bundles are parked again, by integration, as workers tell."""
    if not told:
        return
    ids = dictionary.ids_of(connection, told.keys())
    due_at = {ids[name]: at for name, at in told.items()}
    for integration_id, before in rows_with(
        connection, PARKED_AGAIN.c.integration_id, sorted(due_at)
    ):
        due_at[integration_id] = max(before, due_at[integration_id])
    put_all(connection, PARKED_AGAIN, list(due_at.items()))


def is_parked_again(after_ms: int) -> ColumnElement[bool]:
    """The condition of lives that may be of an event in a bundle that comes back then or later (ms
    since 1970).
    """
    theirs = select(PARKED_AGAIN.c.integration_id).where(PARKED_AGAIN.c.due_at >= after_ms)
    return (LIVES.c.outcome == PARKED) & LIVES.c.integration_id.in_(theirs)

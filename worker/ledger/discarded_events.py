"""Events whose dead letters were discarded before the ledger had seen them: they have ended, too.

An act names the lives of letters that are gone. A letter that no worker has written a receipt of,
and that no pass over the queue has found, is none that the ledger knows by that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, or_, select

from worker.evidence.act import Act
from worker.ledger.awaited_outcomes import are_awaited, conclude
from worker.ledger.database import portions
from worker.ledger.dictionary import texts_of
from worker.ledger.packing import EVENT_BYTES, after
from worker.ledger.schema import BALANCES
from worker.ledger.schema_awaited import AWAITED
from worker.ledger.stored_receipts import keys_of_lives, receipts_with

_AT_ONCE: Final = 100


def conclude_discarded(connection: Connection, parts: Iterable[Act]) -> None:
    """Await no outcome of the events whose lives these acts name."""
    named = [act for act in parts if act.lives]
    if not named or not are_awaited(connection):
        return
    numbers = connection.execute(select(BALANCES.c.integration_id).distinct()).scalars().all()
    known = texts_of(connection, numbers).values()
    for act in named:
        lives = {bytes.fromhex(one) for one in act.lives}
        # Most are of the integration that the act is about, or of none.
        integrations = list(dict.fromkeys(("", act.integration, *known)))
        rows = _of_the_same_events(connection, lives)
        conclude(connection, _of_lives(connection, rows, lives, integrations))


def _of_the_same_events(connection: Connection, lives: Collection[bytes]) -> list[Row[Any]]:
    """What is awaited of these events, each of which may have been updated and come again."""
    prefixes = sorted({one[:EVENT_BYTES] for one in lives})
    rows: list[Row[Any]] = []
    for some in portions(prefixes, most=_AT_ONCE):
        theirs = [(AWAITED.c.life >= one) & (AWAITED.c.life < after(one)) for one in some]
        rows += connection.execute(select(AWAITED).where(or_(*theirs))).all()
    return rows


def _of_lives(
    connection: Connection,
    rows: Iterable[Row[Any]],
    lives: Collection[bytes],
    integrations: Sequence[str],
) -> list[bytes]:
    """The keys of the rows whose events have one of the lives, at one of the integrations."""
    by_receipt = {row.receipt_id: row.life for row in rows}
    return [
        by_receipt[one.id]
        for one in receipts_with(connection, by_receipt)
        if any(key in lives for key in keys_of_lives(one.receipt, integrations))
    ]

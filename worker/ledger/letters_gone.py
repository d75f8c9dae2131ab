"""Lets dead letters out of their groups that are none any more: replayed, or discarded.

That a letter was replayed shows by the next life of its event. What was discarded, only who did it
can tell, see `evidence.act`. The lives themselves stay dead, and are counted as such.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import Connection

from worker.ledger.database import portions, rows_with
from worker.ledger.packing import life_key
from worker.ledger.receipt_rows import PackedReceipt
from worker.ledger.schema import LIVES


def note_replays(connection: Connection, packed: Iterable[PackedReceipt]) -> None:
    """Let go the dead letters that written receipts show as replayed, whichever of two lives is
    heard of first.
    """
    before: set[bytes] = set()
    by_next: dict[bytes, bytes] = {}
    for one in packed:
        if one.receipt.delivery > 0:
            before.add(_beside(one, -1))
        if one.receipt.outcome == "dead":
            by_next[_beside(one, 1)] = one.life
    for row in rows_with(connection, LIVES.c.life, sorted(by_next)):
        before.add(by_next[bytes(row[1])])
    let_go(connection, before)


def let_go(connection: Connection, lives: Collection[bytes]) -> None:
    """The dead letters of these lives are in the queue no longer."""
    for some in portions(sorted(lives)):
        theirs = LIVES.c.life.in_(some)
        grouped = LIVES.c.group_id.is_not(None)
        connection.execute(LIVES.update().where(theirs, grouped).values(group_id=None))


def _beside(one: PackedReceipt, step: int) -> bytes:
    receipt = one.receipt
    return life_key(one.event, receipt.updated_at, receipt.integration, receipt.delivery + step)

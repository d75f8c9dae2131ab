"""Takes out of the ledger what receipts tell of a person, and leaves their digests: the counts
stay, and the chains still verify.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, select

from worker.ledger.dictionary import id_of
from worker.ledger.letters_gone import note_replays
from worker.ledger.packing import NO_PATHS, user_prefix
from worker.ledger.receipt_rows import PackedReceipt, ReceiptRows
from worker.ledger.schema import LIVES, RECEIPTS
from worker.ledger.stored_receipts import key_of_life, lives_back


def write_and_blank(
    connection: Connection,
    rows: ReceiptRows,
    packed: Sequence[PackedReceipt],
    erasures: Sequence[tuple[int, Mapping[str, Collection[bytes]]]],
) -> None:
    """Write receipts. Of each erasure `erasures` have after how many of these it stands, and users
    by integration: it blanks what stands before it in the stream, and no choice of after it.
    """
    written = 0
    for upto, erased in erasures:
        _write(connection, rows, packed[written:upto])
        written = upto
        for integration, users in erased.items():
            blank(connection, users, integration)
    _write(connection, rows, packed[written:])


def _write(connection: Connection, rows: ReceiptRows, packed: Sequence[PackedReceipt]) -> None:
    rows.write(connection, packed)
    note_replays(connection, packed)


def blank(connection: Connection, users: Collection[bytes], integration: str) -> int:
    """Blank all receipts that the ledger has by now of these users, packed as in the tables, in
    the lives at `integration`, or in all where that is ""; gives how many.

    `users` are a person's of all months: of a life that went over the end of one, the row of the
    life knows the last alone.
    """
    mine: ColumnElement[bool] = LIVES.c.user.in_({user_prefix(one) for one in users})
    if integration:
        mine &= LIVES.c.integration_id == id_of(connection, integration)
    last_ids = connection.execute(select(LIVES.c.last_id).where(mine)).scalars().all()
    blanked = 0
    no_paths = id_of(connection, NO_PATHS)
    for one in lives_back(connection, last_ids, sys.maxsize):
        if one.packed_user not in users or one.is_blanked or one.receipt.outcome == "erased":
            continue
        connection.execute(
            RECEIPTS.update()
            .where(RECEIPTS.c.id == one.id)
            .values(
                event=None,
                updated_at=None,
                user=None,
                choice=None,
                paths_id=no_paths,
                said="",
                event_at=None,
                xaction=None,
                raw=key_of_life(one.receipt),
                digest=one.row_digest,
            )
        )
        blanked += 1
    connection.execute(LIVES.update().where(mine).values(user=None))
    return blanked

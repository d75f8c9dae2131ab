"""Takes out of the ledger what receipts tell of a person, and leaves their digests: the counts
stay, and the chains still verify.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, select

from worker.ledger.dictionary import id_of
from worker.ledger.packing import user_prefix
from worker.ledger.schema import LIVES, RECEIPTS
from worker.ledger.stored_receipts import lives_back

_MOST: Final = 100_000
"""Receipts of one person and month."""


def blank(connection: Connection, user: bytes) -> int:
    """Blank all receipts of a user, packed as in the tables; gives how many."""
    mine = LIVES.c.user == user_prefix(user)
    last_ids = list(connection.execute(select(LIVES.c.last_id).where(mine)).scalars())
    blanked = 0
    no_paths = id_of(connection, "[]")  # the receipt of the erasure has none either
    for one in list(lives_back(connection, last_ids, _MOST)):
        if one.packed_user != user or one.is_blanked or one.receipt.outcome == "erased":
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
                raw=None,
                digest=one.row_digest,
            )
        )
        blanked += 1
    connection.execute(LIVES.update().where(mine).values(user=None))
    return blanked

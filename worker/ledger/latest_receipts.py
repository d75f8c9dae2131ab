"""What an integration did last."""

from __future__ import annotations

from sqlalchemy import Connection, select

from worker.ledger.dictionary import id_of
from worker.ledger.schema import RECEIPTS
from worker.ledger.stored_receipts import StoredReceipt, stored


def latest_receipts(connection: Connection, integration: str, most: int) -> list[StoredReceipt]:
    """The latest first."""
    query = (
        select(RECEIPTS)
        .where(RECEIPTS.c.integration_id == id_of(connection, integration))
        .order_by(RECEIPTS.c.at.desc())
        .limit(most)
    )
    return stored(connection, connection.execute(query).all())

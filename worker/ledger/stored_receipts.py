"""Receipts as they are in the tables, and as the rows of the stream that they were."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, select

from worker.evidence.heading import row_digest
from worker.evidence.receipt import Receipt, encode_receipt
from worker.ledger.database import portions
from worker.ledger.dictionary import id_of, texts_of
from worker.ledger.packing import (
    CHOICES,
    OUTCOMES,
    life_key,
    pack_event,
    unpack_attributes,
    unpack_cause,
    unpack_event,
    unpack_user,
)
from worker.ledger.schema import RECEIPTS

_NUMBERED: Final = (
    *("integration_id", "organization_id", "reason_id", "config_id", "paths_id", "cause_id"),
)
"""Columns with numbers of texts."""
_DELIVERIES: Final = 16
"""Replays of an event that are looked for, beside its first life; people seldom replay it so often.
"""


class StoredReceipt(NamedTuple):
    """A receipt as it is in the tables: `place` is its number in message `message_id`. Of a blanked
    one `receipt` has no event, user, attributes and xaction, `digest` is that of the row it was,
    and `raw` the key of its life.
    """

    id: int
    message_id: int
    place: int
    before_id: int | None
    receipt: Receipt
    packed_user: bytes | None
    raw: bytes | None
    digest: bytes | None

    @property
    def is_blanked(self) -> bool:
        """Whether a person's erasure has taken what was in a receipt."""
        return self.digest is not None

    @property
    def row(self) -> bytes | None:
        """The row of a receipt as it was in the stream; None for a blanked one."""
        if self.is_blanked:
            return None
        return self.raw if self.raw is not None else encode_receipt(self.receipt)

    @property
    def row_digest(self) -> bytes:
        """The digest by which its message's heading covers a receipt."""
        row = self.row
        return self.digest or b"" if row is None else row_digest(row)


def key_of_life(receipt: Receipt) -> bytes:
    """The key of the life that a receipt belongs to; of none that is blanked."""
    event = pack_event(receipt.event)
    return life_key(event, receipt.updated_at, receipt.integration, receipt.delivery)


def keys_of_lives(receipt: Receipt, integrations: Iterable[str]) -> Iterator[bytes]:
    """The keys that lives of the same event have, at these integrations: its first ones, and those
    after a few replays.
    """
    event = pack_event(receipt.event)
    for integration in integrations:
        for delivery in range(_DELIVERIES):
            yield life_key(event, receipt.updated_at, integration, delivery)


def stored(connection: Connection, rows: Sequence[Row[Any]]) -> list[StoredReceipt]:
    """The receipts that rows of the table are."""
    ids = {getattr(row, column) for row in rows for column in _NUMBERED} - {None}
    texts = texts_of(connection, ids)
    return [_stored(row, texts) for row in rows]


def receipts_with(connection: Connection, ids: Collection[int]) -> list[StoredReceipt]:
    """The receipts with these numbers."""
    found: list[StoredReceipt] = []
    for some in portions(sorted(ids)):
        rows = connection.execute(select(RECEIPTS).where(RECEIPTS.c.id.in_(some))).all()
        found += stored(connection, rows)
    return found


def lives_back(
    connection: Connection, last_ids: Collection[int], most: int
) -> Iterator[StoredReceipt]:
    """The receipts of lives, each from its last one back, and of all lives together in steps; at
    most `most` of them.
    """
    wanted = list(last_ids)
    given = 0
    while wanted and given < most:
        found = receipts_with(connection, wanted[: most - given])
        given += len(found)
        yield from found
        wanted = [one.before_id for one in found if one.before_id is not None]


def _stored(row: Row[Any], texts: dict[int, str]) -> StoredReceipt:
    error, code, field = unpack_cause(texts.get(row.cause_id, ""))
    receipt = Receipt(
        event="" if row.event is None else unpack_event(row.event),
        updated_at=row.updated_at,
        integration=texts.get(row.integration_id, ""),
        organization=texts.get(row.organization_id, ""),
        delivery=row.delivery,
        outcome=OUTCOMES[row.outcome],
        reason=texts.get(row.reason_id, ""),
        attempt=row.attempt,
        user=unpack_user(row.user),
        choice=None if row.choice is None else CHOICES[row.choice],
        attributes=unpack_attributes(texts.get(row.paths_id, "[]"), row.said),
        event_at=row.event_at,
        due_at=row.due_at,
        status=row.status,
        xaction=row.xaction,
        config=texts.get(row.config_id, ""),
        at=row.at,
        error=error,
        code=code,
        field=field,
    )
    return StoredReceipt(
        row.id, row.message_id, row.place, row.before_id, receipt, row.user, row.raw, row.digest
    )


def latest_receipts(connection: Connection, integration: str, most: int) -> list[StoredReceipt]:
    """The latest receipts of an integration, the latest first."""
    query = (
        select(RECEIPTS)
        .where(RECEIPTS.c.integration_id == id_of(connection, integration))
        .order_by(RECEIPTS.c.at.desc())
        .limit(most)
    )
    return stored(connection, connection.execute(query).all())

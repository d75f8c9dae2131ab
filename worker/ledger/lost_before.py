"""Messages before which others of their chain are lost, since the stream's retention took them
before the ledger came to read them. It is noted as they are read, since the findings tell of the
latest truncation alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Column, Connection, Row, Table, select

from worker.ledger.database import insert_all, rows_with
from worker.ledger.schema import MESSAGES, METADATA, NUMBER

LOST_BEFORE: Final = Table(
    "lost_before",
    METADATA,
    Column("message_id", NUMBER, primary_key=True),
)


def note_lost(connection: Connection, messages: Sequence[int]) -> None:
    """The gaps before these new messages, by their numbers, are where records were lost."""
    insert_all(connection, LOST_BEFORE, [(one,) for one in messages])


def behind_lost(connection: Connection, messages: Collection[int]) -> set[int]:
    """Those of these messages, by their numbers, before which others were lost."""
    return {row[0] for row in rows_with(connection, LOST_BEFORE.c.message_id, sorted(messages))}


def headings_before_lost(connection: Connection, messages: Sequence[Row[Any]]) -> dict[int, bytes]:
    """The heading lines before what was lost in front of these messages, by the numbers of those
    that are behind it. Of what is older than the ledger's retention there is none.
    """
    behind = behind_lost(connection, [one.id for one in messages])
    found = {}
    for one in messages:
        if one.id in behind:
            earlier = (MESSAGES.c.chain_id == one.chain_id) & (MESSAGES.c.sequence < one.sequence)
            query = select(MESSAGES.c.sequence, MESSAGES.c.heading).where(earlier)
            last = connection.execute(query.order_by(MESSAGES.c.sequence.desc())).first()
            if last is not None and last.sequence < one.sequence - 1:
                found[one.id] = bytes(last.heading)
    return found

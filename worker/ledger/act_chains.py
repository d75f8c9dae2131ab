"""The messages by which acts are on record, with all that is in their chains."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, select

from worker.evidence.heading import row_digest
from worker.ledger.database import portions
from worker.ledger.packing import unpack_digests
from worker.ledger.schema import ACTS, CHAINS, MESSAGES

_AT_ONCE: Final = 200


class ActMessage(NamedTuple):
    """A message of a chain that has acts. `rows` are those that were asked for, as they stood
    there, by their places.
    """

    message: Row[Any]
    rows: Mapping[int, bytes]

    @property
    def digests(self) -> Sequence[bytes] | None:
        """The digests of all rows of a message with acts; None where they are not known."""
        known = self.message.row_digests
        if known is None:
            return None
        return [
            row_digest(self.rows[place]) if place in self.rows else digest
            for place, digest in enumerate(unpack_digests(known))
        ]


def act_messages(connection: Connection, acts: Collection[str]) -> Iterator[ActMessage]:
    """All messages of the chains that have rows of these acts, in the order of the stream."""
    by_message: dict[int, list[int]] = {}
    for some in portions(sorted(acts), most=_AT_ONCE):
        query = select(ACTS.c.id, ACTS.c.message_id).where(ACTS.c.act.in_(some))
        for number, message_id in connection.execute(query):
            by_message.setdefault(message_id, []).append(number)
    chains = _all(connection, MESSAGES.c.chain_id, MESSAGES.c.id, by_message)
    of_chains = sorted(_all(connection, MESSAGES.c.id, MESSAGES.c.chain_id, chains))
    for numbers in portions(of_chains, most=_AT_ONCE):
        rows = _rows(connection, [one for number in numbers for one in by_message.get(number, ())])
        query_of_messages = (
            select(MESSAGES, CHAINS.c.chain)
            .join(CHAINS, CHAINS.c.id == MESSAGES.c.chain_id)
            .where(MESSAGES.c.id.in_(numbers))
            .order_by(MESSAGES.c.id)
        )
        for message in connection.execute(query_of_messages).all():
            yield ActMessage(message, rows.get(message.id, {}))


def _all(
    connection: Connection,
    wanted: ColumnElement[int],
    column: ColumnElement[int],
    values: Collection[int],
) -> set[int]:
    """What `wanted` is in all rows with one of `values` in `column`."""
    found: set[int] = set()
    for some in portions(sorted(values), most=_AT_ONCE):
        found.update(connection.execute(select(wanted).where(column.in_(some))).scalars())
    return found


def _rows(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[int, bytes]]:
    """Rows of acts by the message and the place where they stand."""
    found: dict[int, dict[int, bytes]] = {}
    for some in portions(numbers, most=_AT_ONCE):
        query = select(ACTS.c.message_id, ACTS.c.place, ACTS.c.row).where(ACTS.c.id.in_(some))
        for message_id, place, row in connection.execute(query):
            found.setdefault(message_id, {})[place] = bytes(row)
    return found

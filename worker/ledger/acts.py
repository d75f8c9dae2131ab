"""Who did what, when, and what came of it, as the trail in the stream tells: the rows that its
messages make, and what is asked of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, select

from worker.evidence.act import Act, read_act
from worker.evidence.bounded_json import Unreadable
from worker.ledger.database import highest_id, insert_all
from worker.ledger.discarded_events import conclude_discarded
from worker.ledger.letters_gone import let_go
from worker.ledger.receipt_rows import without_nul
from worker.ledger.schema import ACTS, CHAINS, MESSAGES

ACTS_AT_ONCE: Final = 50
_MOST_NAMES: Final = 20
_STAGE: Final = 4
"""Its place in a row."""


class ActsWanted(NamedTuple):
    """Which acts are asked for, "" for any. `before` is the number of one that is shown already."""

    name: str = ""
    who: str = ""
    integration: str = ""
    before: int | None = None


class ToldAct(NamedTuple):
    """An act of the trail: `latest` is the last that is known of it. `number` is that of its first
    row in the ledger, `chain` and `sequence` tell where that stands in the stream.
    """

    number: int
    begun: Act
    latest: Act
    chain: str
    sequence: int

    @property
    def ended(self) -> Act | None:
        """What came of an act, None where nobody knows yet."""
        return self.latest if self.latest.stage == "ended" else None


class ToldActs(NamedTuple):
    """Acts of the trail, the latest first; `more` says whether there are older ones."""

    acts: Sequence[ToldAct]
    more: bool


class ActCounts(NamedTuple):
    """How many acts there are in all, by name, and by who did them."""

    total: int
    names: Sequence[tuple[str, int]]
    persons: Sequence[tuple[str, int]]


def told_acts(connection: Connection, wanted: ActsWanted) -> ToldActs:
    """The acts that are asked for, some at once."""
    firsts = (
        select(func.min(ACTS.c.id).label("first"), func.max(ACTS.c.id).label("last"))
        .where(*_conditions(wanted))
        .group_by(ACTS.c.act)
        .subquery()
    )
    query = select(firsts).order_by(firsts.c.first.desc()).limit(ACTS_AT_ONCE + 1)
    if wanted.before is not None:
        query = query.where(firsts.c.first < wanted.before)
    spans = connection.execute(query).all()
    rows = _rows(connection, {number for span in spans for number in span})
    told = [_told(rows[span.first], rows[span.last]) for span in spans[:ACTS_AT_ONCE]]
    return ToldActs(told, more=len(spans) > ACTS_AT_ONCE)


def act_counts(connection: Connection) -> ActCounts:
    """The counts of all acts that the ledger has."""
    acts = func.count(ACTS.c.act.distinct())

    def by(column: ColumnElement[str]) -> list[tuple[str, int]]:
        query = select(column, acts).group_by(column).order_by(acts.desc()).limit(_MOST_NAMES)
        return [(text, count) for text, count in connection.execute(query)]

    total = connection.execute(select(acts)).scalar_one()
    return ActCounts(total, by(ACTS.c.name), by(ACTS.c.who))


def _conditions(wanted: ActsWanted) -> Iterator[ColumnElement[bool]]:
    if wanted.name:
        yield ACTS.c.name == wanted.name
    if wanted.who:
        yield ACTS.c.who == wanted.who
    if wanted.integration:
        yield ACTS.c.integration == wanted.integration


def _rows(connection: Connection, numbers: set[int]) -> dict[int, Any]:
    query = (
        select(ACTS, MESSAGES.c.sequence, CHAINS.c.chain)
        .join(MESSAGES, MESSAGES.c.id == ACTS.c.message_id)
        .join(CHAINS, CHAINS.c.id == MESSAGES.c.chain_id)
        .where(ACTS.c.id.in_(numbers))
    )
    return {row.id: row for row in connection.execute(query)}


def _told(first: Any, last: Any) -> ToldAct:
    return ToldAct(
        first.id, read_act(first.row), read_act(last.row), first.chain.hex(), first.sequence
    )


def act_rows(rows: Sequence[bytes], message_id: int) -> tuple[list[tuple[Any, ...]], int]:
    """The rows of `acts` but for their numbers, and how many acts could not be read."""
    read: list[tuple[Any, ...]] = []
    for place, row in enumerate(rows):
        try:
            act = read_act(row)
        except Unreadable:
            continue
        texts = (act.id, act.name, act.stage, act.who, act.role, act.integration)
        read.append((message_id, place, *map(without_nul, texts), act.at, row))
    return read, len(rows) - len(read)


def write_acts(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write what `act_rows` made of acts, in the order of the stream, once receipts before are."""
    if rows:
        parts = [read_act(row[-1]) for row in rows if row[_STAGE] == "part"]
        conclude_discarded(connection, parts)
        let_go(connection, {bytes.fromhex(life) for part in parts for life in part.lives})
        first = highest_id(connection, ACTS) + 1
        insert_all(connection, ACTS, [(first + n, *row) for n, row in enumerate(rows)])

"""Events that doors have received, as long as nobody has told an outcome of them.

A door's receipt names no integration, and the first receipt of the same event from a worker, at
whichever integration, or its dead letter, ends the waiting: it is in somebody's hands then, and its
life there is followed. A queue gives out its events in order, so one whose outcome is awaited while
later ones have theirs was *overtaken*: it was lost, or its outcome is not on record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, Subquery, func, select, true

from worker.ledger.conservation import OVERDUE_MS, Awaited, Overtaken
from worker.ledger.database import insert_all, portions, put_all, rows_with
from worker.ledger.dictionary import texts_of
from worker.ledger.explained_events import Explained
from worker.ledger.life import RECEIVED
from worker.ledger.packing import after, event_prefix, pack_event
from worker.ledger.parked_again_events import is_parked_again
from worker.ledger.progress import read_progress
from worker.ledger.schema import LIVES
from worker.ledger.schema_awaited import AWAITED, LATEST_CONCLUDED
from worker.ledger.stored_receipts import StoredReceipt, keys_of_lives, receipts_with

CHECKED_AT_ONCE: Final = 500
_FIRST_ONES: Final = 3
_ID: Final = 1
_NONE_EXPLAINED: Final = Explained()


class Received(NamedTuple):
    """An event that a door has received: of which organization (its number), when (ms since 1970),
    and by which receipt.
    """

    organization_id: int
    at: int
    receipt_id: int


def are_awaited(connection: Connection) -> bool:
    """Whether any event is awaited."""
    return connection.execute(select(AWAITED.c.at).limit(1)).first() is not None


def await_outcomes(
    connection: Connection, received: Mapping[bytes, Received], concluded: Collection[bytes]
) -> None:
    """Await the outcomes of the events `received` for the first time, by the keys of their lives at
    no integration. Of the `concluded` ones there is an outcome.
    """
    rows = [(key, *one, False) for key, one in sorted(received.items()) if key not in concluded]
    insert_all(connection, AWAITED, rows)
    at = [one.at for key, one in received.items() if key in concluded]
    conclude(connection, [key for key in concluded if key not in received], at)


def conclude(connection: Connection, keys: Iterable[bytes], at: Iterable[int] = ()) -> None:
    """There is an outcome of the events with these `keys`, and of others that were received `at`
    these times (ms since 1970)."""
    ended = list(rows_with(connection, AWAITED.c.life, sorted(keys)))
    for some in portions(ended):
        theirs = AWAITED.c.life.in_([bytes(row[0]) for row in some])
        connection.execute(AWAITED.delete().where(theirs))
    latest = max([*(row[2] for row in ended), *at], default=0)
    if latest > _latest_concluded(connection):
        put_all(connection, LATEST_CONCLUDED, [(_ID, latest)])


def await_no_more(connection: Connection) -> None:
    """Await none of the events received so far; what was overtaken by now stays so."""
    overtaken_until = _latest_concluded(connection) - OVERDUE_MS
    connection.execute(AWAITED.delete().where(AWAITED.c.at >= overtaken_until))


def check_awaited(connection: Connection, before_ms: int) -> int:
    """Look once whether outcomes are there that were read before the receipt of the door, of some
    events that were received before then (ms since 1970). Gives how many were looked at: 0 when
    there are no more.
    """
    rows = connection.execute(_unchecked(before_ms)).all()
    if not rows:
        return 0
    ended = _with_outcome(connection, rows)
    connection.execute(
        AWAITED.update().where(AWAITED.c.life.in_([row.life for row in rows])), {"is_checked": True}
    )
    conclude(connection, ended)
    return len(rows)


def awaited(connection: Connection, now_ms: int, explained: Explained = _NONE_EXPLAINED) -> Awaited:
    """How many events are awaited at `now_ms` (ms since 1970); one is overtaken where events that
    were received ten minutes later have an outcome, and somebody has looked for one that was read
    before. As many as are `explained` count as awaited alone.
    """
    events = connection.execute(select(func.count()).select_from(AWAITED)).scalar_one()
    if not events:
        return Awaited()
    before_ms = min(now_ms, _latest_concluded(connection)) - OVERDUE_MS
    # As long as no ledger has looked for outcomes that were read before, a reader does. Of what
    # neither has looked at nobody knows that it has none.
    looked_at = connection.execute(_unchecked(before_ms)).all()
    ended = _with_outcome(connection, looked_at)
    without = {row.life for row in looked_at} - ended
    still = (AWAITED.c.at < before_ms) & (AWAITED.c.is_checked | AWAITED.c.life.in_(without))
    lost = _unexplained(connection, still, explained)
    counts = connection.execute(
        select(lost.c.organization_id, func.count(), func.min(lost.c.at)).group_by(
            lost.c.organization_id
        )
    ).all()
    names = texts_of(connection, [row[0] for row in counts])
    overtaken = [
        Overtaken(names.get(one, ""), count, since, _first_ones(connection, one, lost))
        for one, count, since in counts
    ]
    return Awaited(events - len(ended), tuple(sorted(overtaken)))


def _unexplained(
    connection: Connection, overtaken: ColumnElement[bool], explained: Explained
) -> Subquery:
    """Those of the overtaken ones that nothing explains."""

    def count(some: ColumnElement[bool]) -> int:
        query = select(func.count()).select_from(AWAITED).where(overtaken & some)
        return connection.execute(query).scalar_one()

    first = explained.first_ones(lambda before_ms: count(AWAITED.c.at < before_ms))
    others = count(true()) - first
    last = explained.last_ones(lambda since_ms: min(others, count(AWAITED.c.at >= since_ms)))
    in_order = select(AWAITED).where(overtaken).order_by(AWAITED.c.at, AWAITED.c.life)
    return in_order.offset(first).limit(others - last).subquery()


def _first_ones(connection: Connection, organization_id: int, lost: Subquery) -> tuple[str, ...]:
    """The ids of some events of an organization that came first."""
    theirs = select(lost.c.receipt_id).where(lost.c.organization_id == organization_id)
    query = theirs.order_by(lost.c.at).limit(_FIRST_ONES)
    found = receipts_with(connection, connection.execute(query).scalars().all())
    return tuple(one.receipt.event for one in found)


def _unchecked(before_ms: int) -> Select[Any]:
    is_old = (AWAITED.c.at < before_ms) & AWAITED.c.is_checked.is_(False)
    return select(AWAITED).where(is_old).order_by(AWAITED.c.at).limit(CHECKED_AT_ONCE)


def _with_outcome(connection: Connection, rows: Sequence[Row[Any]]) -> set[bytes]:
    """Those of the rows whose event has an outcome, by their keys."""
    receipts = {one.id: one for one in receipts_with(connection, [row.receipt_id for row in rows])}
    return {
        row.life
        for row in rows
        if row.receipt_id not in receipts or _has_outcome(connection, receipts[row.receipt_id])
    }


def _has_outcome(connection: Connection, received: StoredReceipt) -> bool:
    receipt = received.receipt
    prefix = event_prefix(pack_event(receipt.event))
    theirs = (LIVES.c.life >= prefix) & (LIVES.c.life < after(prefix))
    query = select(LIVES.c.life, LIVES.c.integration_id).where(theirs, LIVES.c.outcome != RECEIVED)
    lives = connection.execute(query).all()
    names = texts_of(connection, {life.integration_id for life in lives})
    keys = set(keys_of_lives(receipt, names.values()))
    return any(life.life in keys for life in lives)


def _latest_concluded(connection: Connection) -> int:
    return connection.execute(select(LATEST_CONCLUDED.c.at)).scalar() or 0


def wait_no_more(connection: Connection) -> None:
    """Wait for nothing that may have stood in records of the stream that are lost to the ledger:
    the finding about the stream is the alarm then. What was missing before stays missing.

    To be called before anything behind the lost records is read. An event that goes on has
    another receipt within ten minutes, and is followed again.
    """
    await_no_more(connection)
    progress = read_progress(connection)
    if progress is not None:
        missing_until = min(progress.written_at, progress.read_at) - OVERDUE_MS
        is_awaited = (LIVES.c.due_at >= missing_until) | is_parked_again(missing_until)
        connection.execute(LIVES.update().where(is_awaited).values(due_at=None))

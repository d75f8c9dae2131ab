"""How far the stream was read, in its table."""

from __future__ import annotations

from sqlalchemy import Connection, select

from worker.ledger.records import Progress, Start
from worker.ledger.schema import PROGRESS
from worker.ledger.trouble import LedgerTrouble

_ROW = 1
FIRST_GENERATION = 1
"""Of a stream; each one that is recreated is another."""


def read_progress(connection: Connection) -> Progress | None:
    """How far the stream was read, as it was committed; None before the first reading."""
    found = connection.execute(select(PROGRESS)).first()
    return None if found is None else Progress(*found[1:])


def begin_reading(connection: Connection, start: Start, now_ms: int) -> None:
    """From now on the stream is read from there. What was read of another stream stays."""
    progress = read_progress(connection)
    if progress is None:
        begun = Progress(FIRST_GENERATION, start.offset, b"", start.offset, b"", now_ms, 0, now_ms)
        connection.execute(PROGRESS.insert().values(id=_ROW, **begun._asdict()))
    elif start.is_recreated:
        begun = progress._replace(
            generation=progress.generation + 1,
            first_offset=start.offset,
            first_digest=b"",
            next_offset=start.offset,
            last_digest=b"",
        )
        move_on(connection, progress, begun)
    elif start.lost:
        move_on(connection, progress, progress._replace(next_offset=start.offset))


def move_on(connection: Connection, before: Progress, now: Progress) -> None:
    """Set the progress in the stream to `now` if it is still `before`. Raises `LedgerTrouble`."""
    is_same = (PROGRESS.c.generation == before.generation) & (
        PROGRESS.c.next_offset == before.next_offset
    )
    changed = connection.execute(PROGRESS.update().where(is_same).values(**now._asdict()))
    if changed.rowcount != 1:
        raise LedgerTrouble("another process has written to the ledger meanwhile")


def say_alive(connection: Connection, now_ms: int) -> None:
    """A ledger runs, though there may be nothing to read."""
    connection.execute(PROGRESS.update().values(alive_at=now_ms))

"""What the ledger waits for no more once records of the stream are lost to it: what became of these
events may have stood there.

The finding about the stream is the alarm then. What was missing before stays missing.
"""

from __future__ import annotations

from sqlalchemy import Connection

from worker.ledger.awaited_outcomes import await_no_more
from worker.ledger.conservation import OVERDUE_MS
from worker.ledger.parked_again import is_parked_again
from worker.ledger.progress import read_progress
from worker.ledger.schema import LIVES


def wait_no_more(connection: Connection) -> None:
    """To be called before anything behind the lost records is read. An event that goes on has
    another receipt within ten minutes, and is followed again.
    """
    await_no_more(connection)
    progress = read_progress(connection)
    if progress is not None:
        missing_until = min(progress.written_at, progress.read_at) - OVERDUE_MS
        is_awaited = (LIVES.c.due_at >= missing_until) | is_parked_again(missing_until)
        connection.execute(LIVES.update().where(is_awaited).values(due_at=None))

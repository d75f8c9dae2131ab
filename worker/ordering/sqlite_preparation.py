"""Makes a SQLite file a state, or sees that it is one. Runs in its thread."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import Final

from worker.ordering.store_protocol import StoreUnavailable

_VERSION: Final = 1
_AGAIN_SECONDS: Final = 0.005


def prepare(connection: sqlite3.Connection, schema: Sequence[str], busy_seconds: float) -> None:
    """Make what `schema` says, as far as it is not there; another process may do so just now, for
    which this waits so long. Raises `StoreUnavailable` for a file that is something else.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise StoreUnavailable(f"is of a newer version ({version}) than this worker ({_VERSION})")
    tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'")
    # Asked anew: another process may have made the tables since, in one step with the version.
    if tables.fetchone()[0] and not connection.execute("PRAGMA user_version").fetchone()[0]:
        raise StoreUnavailable(
            "is no state: it is a ledger, or another program's file; name a file of its own in "
            "CONSENT_WORKER_STATE_URL"
        )
    _set_wal(connection, time.monotonic() + busy_seconds)
    # FULL: what was confirmed survives a power cut.
    connection.execute("PRAGMA synchronous=FULL").fetchone()
    connection.execute("BEGIN EXCLUSIVE")
    for statement in schema:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("COMMIT")


def _set_wal(connection: sqlite3.Connection, ends_at: float) -> None:
    """SQLite itself does not wait for the other one where two open a new file at once."""
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= ends_at:
                raise
            time.sleep(_AGAIN_SECONDS)

"""Forgets users in a state file whose time is over. Runs in its thread."""

from __future__ import annotations

import sqlite3
from typing import Final

_SWEPT_AT_ONCE: Final = 500


def sweep(file: sqlite3.Connection, after: str, now_ms: int) -> str:
    """Forget those of the next few users `after` a key whose time is over; the last key of these,
    empty at the end.
    """
    rows = file.execute(
        "SELECT key, expires_at_ms, free_at_ms FROM users WHERE key > ? ORDER BY key LIMIT ?",
        (after, _SWEPT_AT_ONCE),
    ).fetchall()
    file.executemany(
        "DELETE FROM users WHERE key = ?",
        [(key,) for key, *times in rows if _are_over(times, now_ms)],
    )
    return rows[-1][0] if len(rows) == _SWEPT_AT_ONCE else ""


def _are_over(times: list[object], now_ms: int) -> bool:
    return all(isinstance(one, int) and one <= now_ms for one in times)

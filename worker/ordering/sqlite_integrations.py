"""The integrations that were in force lately, in a state in a file. Runs in its thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from worker.ordering.store_protocol import REMEMBERED_AT_MOST


def remember(file: sqlite3.Connection, names: Collection[str], until_ms: int) -> None:
    """Keep the names until then (ms since 1970), and of all the latest `REMEMBERED_AT_MOST`."""
    file.executemany(
        "INSERT OR REPLACE INTO integrations VALUES (?, ?)",
        [(one.encode(errors="surrogatepass"), until_ms) for one in names],
    )
    file.execute(
        "DELETE FROM integrations WHERE name NOT IN "
        "(SELECT name FROM integrations ORDER BY until_ms DESC LIMIT ?)",
        (REMEMBERED_AT_MOST,),
    )


def remembered(file: sqlite3.Connection, now_ms: int) -> set[str]:
    """The names that are still to be kept at `now_ms` (ms since 1970)."""
    rows = file.execute("SELECT name FROM integrations WHERE until_ms > ?", (now_ms,)).fetchall()
    return {bytes(name).decode(errors="surrogatepass") for (name,) in rows}

"""What is known of inlets, in a state in a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from worker.ordering.inlet_notes import MOST_CHARACTERS, MOST_INLETS
from worker.ordering.sqlite_commits import Commits


class SqliteInlets:
    """Every method raises `StoreUnavailable`."""

    def __init__(self, commits: Commits) -> None:
        self._commits = commits

    async def keep(self, state_id: str, text: str) -> None:
        """See `InletKeeper`."""
        name = _name(state_id)

        def keep(file: sqlite3.Connection) -> None:
            others = "SELECT COUNT(*) FROM facts WHERE name LIKE 'inlet %' AND name != ?"
            if file.execute(others, (name,)).fetchone()[0] < MOST_INLETS:
                file.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, text))

        if len(text) <= MOST_CHARACTERS:
            await self._commits.write(keep)

    async def kept(self, state_ids: Collection[str]) -> dict[str, str]:
        """See `InletKeeper`."""

        def read(file: sqlite3.Connection) -> dict[str, str]:
            found = {}
            for one in state_ids:
                query = "SELECT value FROM facts WHERE name = ?"
                row = file.execute(query, (_name(one),)).fetchone()
                if row is not None and isinstance(row[0], str):
                    found[one] = row[0]
            return found

        known: dict[str, str] = await self._commits.read(read)
        return known


def _name(state_id: str) -> str:
    return f"inlet {state_id}"

"""State ids, in a state in a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

from worker.ordering.sqlite_commits import Commits
from worker.ordering.state_ids import MOST_STATE_IDS

_PREFIX: Final = "state "
_WRITES: Final = "writes of state ids"
_PUT: Final = "INSERT OR REPLACE INTO facts VALUES (?, ?)"


class SqliteStateIds:
    """Every method raises `StoreUnavailable`."""

    def __init__(self, commits: Commits) -> None:
        self._commits = commits

    async def read(self) -> tuple[Mapping[str, str], int]:
        """See `StateIdKeeper`."""
        texts: Mapping[str, str]
        texts, writes = await self._commits.read(lambda file: (_texts(file), _writes(file)))
        return texts, writes

    async def write(self, texts: Mapping[str, str], writes_before: int) -> bool:
        """See `StateIdKeeper`."""

        def write(file: sqlite3.Connection) -> bool:
            if _writes(file) != writes_before:
                return False
            there = _texts(file).keys()
            room = MOST_STATE_IDS - len(there)
            new = [one for one in texts if one not in there][: max(0, room)]
            kept = {*there, *new}
            rows = [(_PREFIX + one, text) for one, text in texts.items() if one in kept]
            file.executemany(_PUT, rows)
            file.execute(_PUT, (_WRITES, str(writes_before + 1)))
            return True

        return bool(await self._commits.write(write))


def _texts(file: sqlite3.Connection) -> dict[str, str]:
    query = "SELECT name, value FROM facts WHERE name GLOB 'state *'"
    rows = file.execute(query).fetchall()
    return {name.removeprefix(_PREFIX): str(value) for name, value in rows}


def _writes(file: sqlite3.Connection) -> int:
    row = file.execute("SELECT value FROM facts WHERE name = ?", (_WRITES,)).fetchone()
    return int(row[0]) if row is not None and str(row[0]).isdecimal() else 0

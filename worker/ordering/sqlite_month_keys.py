"""Month keys in the file of a single worker, whose receipts call persons by them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Final

from worker.ordering.month_keys import KEY_BYTES, new_key
from worker.ordering.sqlite_commits import Commits
from worker.ordering.store_protocol import to_ms

_PREFIX: Final = "month key "


class SqliteMonthKeys:
    """The month keys in a file. `clock` gives seconds since 1970. Every method raises
    `StoreUnavailable`.
    """

    def __init__(self, commits: Commits, clock: Callable[[], float]) -> None:
        self._commits = commits
        self._clock = clock

    async def key_of(self, month: str, life_seconds: float, held: bytes | None = None) -> bytes:
        """See `MonthKeys`."""
        now_ms = to_ms(self._clock())

        def make(file: sqlite3.Connection) -> bytes:
            kept = _kept(file, now_ms)
            for one in _months(file) - kept.keys():
                file.execute("DELETE FROM facts WHERE name = ?", (_PREFIX + one,))
            if (key := kept.get(month)) is None:
                key = held or new_key()
                text = json.dumps([key.hex(), now_ms + to_ms(life_seconds)])
                file.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (_PREFIX + month, text))
            return key

        found: bytes = await self._commits.write(make)
        return found

    async def known(self) -> dict[str, bytes]:
        """See `MonthKeys`."""
        now_ms = to_ms(self._clock())
        found: dict[str, bytes] = await self._commits.read(lambda file: _kept(file, now_ms))
        return found


def _rows(file: sqlite3.Connection) -> list[tuple[str, str]]:
    query = "SELECT name, value FROM facts WHERE name GLOB 'month key *'"
    rows = file.execute(query).fetchall()
    return [(name.removeprefix(_PREFIX), str(value)) for name, value in rows if type(name) is str]


def _months(file: sqlite3.Connection) -> set[str]:
    return {month for month, _ in _rows(file)}


def _kept(file: sqlite3.Connection, now_ms: int) -> dict[str, bytes]:
    """Those whose time is not over; what can't be read counts as not there."""
    kept = {}
    for month, text in _rows(file):
        try:
            said, ends_ms = json.loads(text)
            key = bytes.fromhex(said)
            if len(key) == KEY_BYTES and ends_ms > now_ms:
                kept[month] = key
        except (ValueError, TypeError, RecursionError):
            continue
    return kept

"""The rows of a state in a file: reading, and keeping the newer of each stamp. Runs in its thread.

A user has one row: `stamps` is a JSON object of path → encoded stamp, and of `=` and a path → the
text beside that stamp; a gap after a message ends at `free_at_ms`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

import orjson

from worker.ordering.erased_choices import left_after_erasure
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import ERASED, UNCLEAR, Settlement, tombstone
from worker.ordering.unclear_requests import added_at, merged, moved
from worker.ordering.user_digests import both_digests
from worker.transform.decision_types import NOTHING

SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS users (key TEXT PRIMARY KEY, stamps TEXT NOT NULL, "
    "free_at_ms INTEGER NOT NULL, expires_at_ms INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS integrations (name BLOB PRIMARY KEY, until_ms INTEGER NOT NULL) "
    "WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)
_TEXT: Final = "="


class Row(NamedTuple):
    """What is known of a user; `stamps` of one whose time is over are empty."""

    stamps: dict[str, str]
    free_at_ms: int
    expires_at_ms: int


UNKNOWN: Final = Row({}, 0, 0)


def find_all(
    file: sqlite3.Connection, state_id: str, users: Iterable[str]
) -> list[list[Row | None]]:
    """The rows of several users, see `find`."""
    return [find(file, state_id, user) for user in users]


def find(file: sqlite3.Connection, state_id: str, user: str) -> list[Row | None]:
    """The rows of a user's digests; None for one that can't be read."""
    rows: list[Row | None] = []
    for key in keys_of(state_id, user):
        try:
            rows.append(read_row(file, key))
        except (ValueError, RecursionError):
            rows.append(None)
    return rows


def is_of_nobody(rows: Sequence[Row | None]) -> bool:
    """Whether nothing is kept under the one digest of a user, as of most: spares all the rest."""
    return len(rows) == 1 and rows[0] is UNKNOWN


def read_row(file: sqlite3.Connection, key: str) -> Row:
    """The row of a user. Raises ValueError, or RecursionError, for one that is none of ours."""
    found = file.execute(
        "SELECT stamps, free_at_ms, expires_at_ms FROM users WHERE key = ?", (key,)
    ).fetchone()
    if found is None:
        return UNKNOWN
    stamps, free_at_ms, expires_at_ms = _read(found[0]), found[1], found[2]
    if not isinstance(stamps, dict) or not all(isinstance(one, int) for one in found[1:]):
        raise ValueError("not a row of ours")
    return Row(stamps, free_at_ms, expires_at_ms)


def stamps_in(
    rows: Sequence[Row | None], attributes: Collection[str], now_ms: int
) -> dict[str, Stamp]:
    """The stamps of `attributes`, paths, that stand in the rows of one user; of two the newer."""
    stamps: dict[str, Stamp] = {}
    for row in _in_force(rows, now_ms):
        for path in attributes:
            stamp = decoded(row.stamps.get(path))
            if stamp is None:
                continue
            known = stamps.get(path)
            if path == UNCLEAR:
                left = moved(stamp, -now_ms)
                stamps[path] = left if known is None else merged(left, known)
            else:
                stamps[path] = stamp if known is None else max(stamp, known)
    return stamps


def texts_in(rows: Sequence[Row | None], paths: Collection[str], now_ms: int) -> dict[str, str]:
    """The texts beside the stamps of `paths`; of two stamps that of the newer."""
    merged_state = _State()
    for row in _in_force(rows, now_ms):
        merged_state.add_row(row, paths)
    return {path: text for path, text in merged_state.texts.items() if path in paths}


def _in_force(rows: Sequence[Row | None], now_ms: int) -> list[Row]:
    return [row for row in rows if row is not None and row.expires_at_ms > now_ms]


class _State:
    """Stamps and texts of a user, while rows and settlements are put together."""

    def __init__(self) -> None:
        self.stamps: dict[str, Stamp] = {}
        self.texts: dict[str, str] = {}

    def add(self, path: str, stamp: Stamp | None, text: str | None, *, keeps_text: bool) -> None:
        """Keep the newer of two stamps, with its text; `keeps_text`: with the text of before."""
        known = self.stamps.get(path)
        if stamp is None or (known is not None and stamp < known):
            return
        self.stamps[path] = stamp
        if keeps_text:
            return
        self.texts.pop(path, None)
        if text:
            self.texts[path] = text

    def add_row(self, row: Row, paths: Collection[str] | None = None) -> None:
        for path in row.stamps if paths is None else paths:
            if not path.startswith(_TEXT):
                stamp, text = decoded(row.stamps.get(path)), row.stamps.get(f"{_TEXT}{path}")
                said = text if isinstance(text, str) else None
                self.add(path, stamp, said, keeps_text=stamp == self.stamps.get(path))

    def as_fields(self) -> dict[str, str]:
        stamps = {path: stamp.encode() for path, stamp in self.stamps.items()}
        return stamps | {f"{_TEXT}{path}": text for path, text in self.texts.items()}


def write_settlement(
    file: sqlite3.Connection,
    state_id: str,
    settlement: Settlement,
    now_ms: int,
    free_at_ms: int,
    expires_at_ms: int,
) -> None:
    """Keep the newer of each stamp; what stands under a user's other digest moves to the first."""
    first, *others = keys_of(state_id, settlement.user)
    rows = find(file, state_id, settlement.user)
    if settlement.is_part and not _is_there(rows, now_ms):
        settlement = settlement._replace(written=NOTHING, texts=None)  # lost since the grant
    given = settlement.written
    if is_of_nobody(rows) and given and settlement.texts is None and UNCLEAR not in given:
        stamps = {path: stamp.encode() for path, stamp in given.items()}
        put(file, first, Row(stamps, free_at_ms, expires_at_ms))
        return
    if None in rows and not given:
        return  # it stays known that something was there
    state = _State()
    kept_until_ms = 0
    busy_until_ms = 0
    for row in rows:
        if row is None:
            continue  # it can't be read, and is replaced
        busy_until_ms = max(busy_until_ms, row.free_at_ms)
        if row.expires_at_ms > now_ms:
            kept_until_ms = max(kept_until_ms, row.expires_at_ms)
            state.add_row(row)
    if given:
        _add_settled(state, settlement, now_ms)
        kept_until_ms = max(kept_until_ms, expires_at_ms)  # a tombstone is kept for longer
    put(file, first, Row(state.as_fields(), free_at_ms or busy_until_ms, kept_until_ms))
    for key in others:
        file.execute("DELETE FROM users WHERE key = ?", (key,))


def _is_there(rows: Sequence[Row | None], now_ms: int) -> bool:
    return any(row is None or (row.stamps and row.expires_at_ms > now_ms) for row in rows)


def _add_settled(state: _State, settlement: Settlement, now_ms: int) -> None:
    texts = settlement.texts
    written = left_after_erasure(settlement.written, state.stamps.get(ERASED))
    for path, stamp in written.items():
        if path == UNCLEAR:
            state.stamps[path] = added_at(now_ms, stamp, state.stamps.get(path))
        else:
            text = None if texts is None else texts.get(path)
            state.add(path, stamp, text, keeps_text=texts is None)


def erase_user(
    file: sqlite3.Connection,
    state_id: str,
    user: str,
    before_ms: int,
    now_ms: int,
    kept_until_ms: int,
) -> None:
    """Replace what is kept of a user by a tombstone; the later of two stays."""
    rows = find(file, state_id, user)
    for key, found in zip(keys_of(state_id, user), rows, strict=True):
        row = found or UNKNOWN
        known = decoded(row.stamps.get(ERASED)) if row.expires_at_ms > now_ms else None
        stamp = max(tombstone(before_ms), known or tombstone(before_ms))
        put(file, key, Row({ERASED: stamp.encode()}, row.free_at_ms, kept_until_ms))


def put(file: sqlite3.Connection, key: str, row: Row) -> None:
    file.execute(
        "INSERT OR REPLACE INTO users VALUES (?, ?, ?, ?)",
        (key, _written(row.stamps), row.free_at_ms, row.expires_at_ms),
    )


def _written(stamps: dict[str, str]) -> str:
    try:
        return orjson.dumps(stamps).decode()
    except orjson.JSONEncodeError:  # half of a surrogate pair, which the slower one writes
        return json.dumps(stamps)


def _read(text: str) -> Any:
    """Raises ValueError, or RecursionError."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


def keys_of(state_id: str, user: str) -> list[str]:
    return [f"{state_id} {one}" for one in both_digests(user) if one]


def decoded(text: object) -> Stamp | None:
    try:
        return Stamp.decode(text) if isinstance(text, str) else None
    except ValueError:
        return None

"""The rows of a state in a file: reading, and keeping the newer of each stamp. Runs in its thread.

A user has one row: `stamps` is a JSON object of path → encoded stamp, and a gap after a message
ends at `free_at_ms`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from worker.ordering.newest import Stamp
from worker.ordering.store import ERASED, UNCLEAR, Settlement, tombstone
from worker.ordering.unclear import merged, moved
from worker.ordering.users import both_digests

SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS users (key TEXT PRIMARY KEY, stamps TEXT NOT NULL, "
    "free_at_ms INTEGER NOT NULL, expires_at_ms INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS integrations (name BLOB PRIMARY KEY, until_ms INTEGER NOT NULL) "
    "WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)


_SWEPT_AT_ONCE: Final = 500


class Row(NamedTuple):
    """What is known of a user; `stamps` of one whose time is over are empty."""

    stamps: dict[str, str]
    free_at_ms: int
    expires_at_ms: int


UNKNOWN: Final = Row({}, 0, 0)


def find(file: sqlite3.Connection, integration_id: str, user: str) -> list[Row | None]:
    """The rows of a user's digests; None for one that can't be read."""
    rows: list[Row | None] = []
    for key in keys_of(integration_id, user):
        try:
            rows.append(read_row(file, key))
        except ValueError:
            rows.append(None)
    return rows


def read_row(file: sqlite3.Connection, key: str) -> Row:
    """Raises ValueError for one that is none of ours."""
    found = file.execute(
        "SELECT stamps, free_at_ms, expires_at_ms FROM users WHERE key = ?", (key,)
    ).fetchone()
    if found is None:
        return UNKNOWN
    stamps, free_at_ms, expires_at_ms = json.loads(found[0]), found[1], found[2]
    if not isinstance(stamps, dict) or not all(isinstance(one, int) for one in found[1:]):
        raise ValueError("not a row of ours")
    return Row(stamps, free_at_ms, expires_at_ms)


def stamps_in(
    rows: Sequence[Row | None], attributes: Collection[str], now_ms: int
) -> dict[str, Stamp]:
    """Those of `attributes`, paths, that stand in the rows of one user; of two the newer."""
    stamps: dict[str, Stamp] = {}
    for row in rows:
        if row is None or row.expires_at_ms <= now_ms:
            continue
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


def write_settlement(
    file: sqlite3.Connection,
    integration_id: str,
    settlement: Settlement,
    now_ms: int,
    free_at_ms: int,
    expires_at_ms: int,
) -> None:
    """Keep the newer of each stamp; what stands under a user's other digest moves to the first."""
    first, *others = keys_of(integration_id, settlement.user)
    stamps: dict[str, Stamp] = {}
    kept_until_ms = 0
    busy_until_ms = 0
    for row in find(file, integration_id, settlement.user):
        if row is None:
            continue  # it can't be read, and is replaced
        busy_until_ms = max(busy_until_ms, row.free_at_ms)
        if row.expires_at_ms > now_ms:
            kept_until_ms = max(kept_until_ms, row.expires_at_ms)
            _merge(stamps, {path: decoded(text) for path, text in row.stamps.items()})
    if settlement.written:
        written = dict(settlement.written)
        if UNCLEAR in written:
            written[UNCLEAR] = moved(written[UNCLEAR], now_ms)
        _merge(stamps, written)
        kept_until_ms = max(kept_until_ms, expires_at_ms)  # a tombstone is kept for longer
    texts = {path: stamp.encode() for path, stamp in stamps.items()}
    put(file, first, Row(texts, free_at_ms or busy_until_ms, kept_until_ms))
    for key in others:
        file.execute("DELETE FROM users WHERE key = ?", (key,))


def erase_user(
    file: sqlite3.Connection,
    integration_id: str,
    user: str,
    before_ms: int,
    now_ms: int,
    kept_until_ms: int,
) -> None:
    """Leave a tombstone alone; the later of two stays."""
    rows = find(file, integration_id, user)
    for key, found in zip(keys_of(integration_id, user), rows, strict=True):
        row = found or UNKNOWN
        known = decoded(row.stamps.get(ERASED)) if row.expires_at_ms > now_ms else None
        stamp = max(tombstone(before_ms), known or tombstone(before_ms))
        put(file, key, Row({ERASED: stamp.encode()}, row.free_at_ms, kept_until_ms))


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
        [(key,) for key, expires, free in rows if max(expires, free) <= now_ms],
    )
    return rows[-1][0] if len(rows) == _SWEPT_AT_ONCE else ""


def _merge(stamps: dict[str, Stamp], others: Mapping[str, Stamp | None]) -> None:
    for path, stamp in others.items():
        known = stamps.get(path)
        if stamp is not None and (known is None or stamp > known):
            stamps[path] = stamp


def put(file: sqlite3.Connection, key: str, row: Row) -> None:
    file.execute(
        "INSERT OR REPLACE INTO users VALUES (?, ?, ?, ?)",
        (key, json.dumps(row.stamps), row.free_at_ms, row.expires_at_ms),
    )


def keys_of(integration_id: str, user: str) -> list[str]:
    return [f"{integration_id} {one}" for one in both_digests(user) if one]


def decoded(text: object) -> Stamp | None:
    try:
        return Stamp.decode(text) if isinstance(text, str) else None
    except ValueError:
        return None

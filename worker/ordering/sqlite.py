"""The state of newest-wins in one SQLite file: for a single worker, and kept over its restarts.

A user has one row: `stamps` is a JSON object of path → encoded stamp, and a gap after a message
ends at `free_at_ms`. Leases are kept in memory: when the worker ends, so do its requests. The clock
of what is in the file is that of the machine.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from worker.ordering.commits import Commits
from worker.ordering.holds import Holds
from worker.ordering.newest import Stamp
from worker.ordering.secret import SecretRefused, mark_after
from worker.ordering.sqlite_epoch import SqliteEpochs
from worker.ordering.store import (
    ERASED,
    LONGEST_LEASE_SECONDS,
    REMEMBERED_AT_MOST,
    REMEMBERED_CHARACTERS,
    UNCLEAR,
    Claim,
    Contended,
    Granted,
    Settlement,
    StoreUnavailable,
    Timing,
    tombstone,
)
from worker.ordering.unclear import merged
from worker.ordering.users import Marks, both_digests

log = structlog.get_logger(__name__)

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS users (key TEXT PRIMARY KEY, stamps TEXT NOT NULL, "
    "free_at_ms INTEGER NOT NULL, expires_at_ms INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS integrations (name BLOB PRIMARY KEY, until_ms INTEGER NOT NULL) "
    "WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)
_SWEPT_AT_ONCE: Final = 500
_SWEEP_EVERY: Final = 200
"""Commits between two looks at some hundred users, whether their time is over."""


class _Row(NamedTuple):
    """What is known of a user; `stamps` of one whose time is over are empty."""

    stamps: dict[str, str]
    free_at_ms: int
    expires_at_ms: int


_UNKNOWN: Final = _Row({}, 0, 0)


class SqliteStore:
    """`path` is the file, whose directory must be there. `clock` is monotonic and times leases;
    `wall_clock` is that of gaps and retention; both in seconds. `marks` are those of the secrets by
    which users are called. `is_worker`: whether it is for a worker, of which a file has one, or for
    a command beside it.
    """

    digests_are_guessable = False
    """The file is for its owner's eyes, who has the secret as well."""

    def __init__(
        self,
        path: Path,
        timing: Timing,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        marks: Marks | None = None,
        is_worker: bool = True,
    ) -> None:
        self.unreadable_values = 0
        self._commits = Commits(path, _SCHEMA, is_worker=is_worker)
        self.epochs = SqliteEpochs(self._commits, wall_clock)
        self._timing = timing
        self._wall_clock = wall_clock
        self._marks = marks
        self._is_admitted = marks is None
        self._held = Holds(timing.lease_seconds, clock)
        self._settled = 0
        self._swept_to = ""

    async def begin(
        self, integration_id: str, claims: Sequence[Claim]
    ) -> list[Granted | Contended]:
        """See `NewestStore`."""
        await self._admit_or_refuse()
        lease = self._held.new_lease()
        asked: dict[str, Claim] = {}
        held: dict[str, Contended] = {}
        for claim in claims:
            anothers = self._held.take(integration_id, claim.user, lease)
            if anothers is not None:
                held[claim.user] = anothers
            elif claim.user in asked:  # claimed twice, and granted once
                held[claim.user] = Contended(self._timing.lease_seconds, is_held=True)
            else:
                asked[claim.user] = claim
        try:
            found = await self._commits.read(
                lambda file: [_find(file, integration_id, user) for user in asked]
            )
        except BaseException:
            self._held.let_go(integration_id, asked, lease)
            raise
        now_ms = self._now_ms()
        given = {
            claim.user: self._answer(integration_id, lease, claim, rows, now_ms)
            for claim, rows in zip(asked.values(), found, strict=True)
        }
        answers: list[Granted | Contended] = []
        for claim in claims:
            answer = given.get(claim.user) or held[claim.user]
            answers.append(answer)
            if isinstance(answer, Granted):
                given.pop(claim.user)
        return answers

    async def settle(
        self, integration_id: str, settlements: Sequence[Settlement], gap_seconds: float
    ) -> None:
        """See `NewestStore`."""
        now_ms, held = self._now_ms(), self._held
        changes = [
            (one, one.sent and not held.is_anothers(integration_id, one.user, one.lease))
            for one in settlements
            if one.written or one.sent
        ]
        if changes:
            await self._admit_or_refuse()
            expires_at_ms = now_ms + _ms(self._timing.retention_seconds)
            free_at_ms = now_ms + _ms(gap_seconds)
            self._settled += 1
            sweeps = self._settled % _SWEEP_EVERY == 0

            def write(file: sqlite3.Connection) -> None:
                for one, has_gap in changes:
                    until_ms = free_at_ms if has_gap else 0
                    _write(file, integration_id, one, now_ms, until_ms, expires_at_ms)
                if sweeps:
                    self._sweep(file, now_ms)

            await self._commits.write(write)
        for one in settlements:
            self._held.let_go(integration_id, [one.user], one.lease)

    async def erase(
        self, integration_id: str, user: str, before_ms: int, kept_seconds: float
    ) -> None:
        """See `NewestStore`."""
        await self._admit_or_refuse()
        now_ms = self._now_ms()

        def write(file: sqlite3.Connection) -> None:
            for key in _keys(integration_id, user):
                row = _row(file, key)
                known = _decoded(row.stamps.get(ERASED)) if row.expires_at_ms > now_ms else None
                stamp = max(tombstone(before_ms), known or tombstone(before_ms))
                kept = _Row({ERASED: stamp.encode()}, row.free_at_ms, now_ms + _ms(kept_seconds))
                _put(file, key, kept)

        await self._commits.write(write)

    async def remember_integrations(
        self, integrations: Collection[str], for_seconds: float
    ) -> None:
        """See `NewestStore`."""
        until_ms = self._now_ms() + _ms(for_seconds)
        names = [
            (one.encode(errors="surrogatepass"), until_ms)
            for one in integrations
            if len(one) <= REMEMBERED_CHARACTERS
        ]

        def write(file: sqlite3.Connection) -> None:
            file.executemany("INSERT OR REPLACE INTO integrations VALUES (?, ?)", names)
            file.execute(
                "DELETE FROM integrations WHERE name NOT IN "
                "(SELECT name FROM integrations ORDER BY until_ms DESC LIMIT ?)",
                (REMEMBERED_AT_MOST,),
            )

        if names:
            await self._commits.write(write)

    async def remembered_integrations(self) -> set[str]:
        """See `NewestStore`."""
        rows = await self._commits.read(
            lambda file: file.execute(
                "SELECT name FROM integrations WHERE until_ms > ?", (self._now_ms(),)
            ).fetchall()
        )
        return {bytes(name).decode(errors="surrogatepass") for (name,) in rows}

    async def ping(self) -> None:
        """See `NewestStore`."""
        await self._admit_or_refuse()
        at = str(self._now_ms())
        await self._commits.write(
            lambda file: file.execute("INSERT OR REPLACE INTO facts VALUES ('ping', ?)", (at,))
        )

    async def admit(self) -> None:
        """Find out whether the secret may be used with this file; until then nothing is granted.
        Raises `SecretRefused` if not.
        """
        if self._is_admitted or self._marks is None:
            return
        marks = self._marks

        def admit(file: sqlite3.Connection) -> str:
            found = file.execute("SELECT value FROM facts WHERE name = 'digests'").fetchone()
            try:
                after = mark_after(found[0] if found else None, marks)
            except SecretRefused as refused:
                return str(refused)
            file.execute("INSERT OR REPLACE INTO facts VALUES ('digests', ?)", (after,))
            return ""

        refused = await self._commits.write(admit)
        if refused:
            raise SecretRefused(refused)
        self._is_admitted = True

    async def _admit_or_refuse(self) -> None:
        try:
            await self.admit()
        except SecretRefused as refused:
            raise StoreUnavailable(f"CONSENT_WORKER_ORDERING_SECRET {refused}") from None

    async def close(self) -> None:
        """See `NewestStore`."""
        await self._commits.close()

    def _answer(
        self,
        integration_id: str,
        lease: int,
        claim: Claim,
        rows: Sequence[_Row | None],
        now_ms: int,
    ) -> Granted | Contended:
        left_ms = max((one.free_at_ms - now_ms for one in rows if one is not None), default=0)
        # No gap of ours is longer; the clock was set back, or somebody else has written it.
        if 0 < left_ms <= _ms(LONGEST_LEASE_SECONDS):
            self._held.let_go(integration_id, [claim.user], lease)
            return Contended(left_ms / 1000, is_held=False)
        stored: dict[str, Stamp] = {}
        for row in rows:
            if row is None:
                self.unreadable_values += 1
                log.error(
                    "ordering.unreadable_value",
                    user=claim.user,
                    detail="what the file has of this user can't be read and counts as unknown: an "
                    "older choice may be sent once more",
                )
            elif row.expires_at_ms > now_ms:
                for path in claim.attributes:
                    stamp = _decoded(row.stamps.get(path))
                    if stamp is None:
                        continue
                    known = stored.get(path)
                    if path == UNCLEAR:
                        left = _later(stamp, -now_ms)
                        stored[path] = left if known is None else merged(left, known)
                    else:
                        stored[path] = stamp if known is None else max(stamp, known)
        return Granted(lease, stored)

    def _sweep(self, file: sqlite3.Connection, now_ms: int) -> None:
        """Forget those of the next few users whose time is over."""
        rows = file.execute(
            "SELECT key, expires_at_ms, free_at_ms FROM users WHERE key > ? ORDER BY key LIMIT ?",
            (self._swept_to, _SWEPT_AT_ONCE),
        ).fetchall()
        file.executemany(
            "DELETE FROM users WHERE key = ?",
            [(key,) for key, expires, free in rows if max(expires, free) <= now_ms],
        )
        self._swept_to = rows[-1][0] if len(rows) == _SWEPT_AT_ONCE else ""

    def _now_ms(self) -> int:
        return _ms(self._wall_clock())


# In the thread


def _find(file: sqlite3.Connection, integration_id: str, user: str) -> list[_Row | None]:
    """The rows of a user's digests; None for one that can't be read."""
    rows: list[_Row | None] = []
    for key in _keys(integration_id, user):
        try:
            rows.append(_row(file, key))
        except ValueError:
            rows.append(None)
    return rows


def _row(file: sqlite3.Connection, key: str) -> _Row:
    """Raises ValueError for one that is none of ours."""
    found = file.execute(
        "SELECT stamps, free_at_ms, expires_at_ms FROM users WHERE key = ?", (key,)
    ).fetchone()
    if found is None:
        return _UNKNOWN
    stamps, free_at_ms, expires_at_ms = json.loads(found[0]), found[1], found[2]
    if not isinstance(stamps, dict) or not all(isinstance(one, int) for one in found[1:]):
        raise ValueError("not a row of ours")
    return _Row(stamps, free_at_ms, expires_at_ms)


def _write(
    file: sqlite3.Connection,
    integration_id: str,
    settlement: Settlement,
    now_ms: int,
    free_at_ms: int,
    expires_at_ms: int,
) -> None:
    """Keep the newer of each stamp; what stands under a user's other digest moves to the first."""
    first, *others = _keys(integration_id, settlement.user)
    stamps: dict[str, Stamp] = {}
    kept_until_ms = 0
    busy_until_ms = 0
    for key in (first, *others):
        try:
            row = _row(file, key)
        except ValueError:
            continue  # it can't be read, and is replaced
        busy_until_ms = max(busy_until_ms, row.free_at_ms)
        if row.expires_at_ms > now_ms:
            kept_until_ms = max(kept_until_ms, row.expires_at_ms)
            _merge(stamps, {path: _decoded(text) for path, text in row.stamps.items()})
    if settlement.written:
        written = dict(settlement.written)
        if UNCLEAR in written:
            written[UNCLEAR] = _later(written[UNCLEAR], now_ms)
        _merge(stamps, written)
        kept_until_ms = max(kept_until_ms, expires_at_ms)  # a tombstone is kept for longer
    texts = {path: stamp.encode() for path, stamp in stamps.items()}
    _put(file, first, _Row(texts, free_at_ms or busy_until_ms, kept_until_ms))
    for key in others:
        file.execute("DELETE FROM users WHERE key = ?", (key,))


def _merge(stamps: dict[str, Stamp], others: Mapping[str, Stamp | None]) -> None:
    for path, stamp in others.items():
        known = stamps.get(path)
        if stamp is not None and (known is None or stamp > known):
            stamps[path] = stamp


def _put(file: sqlite3.Connection, key: str, row: _Row) -> None:
    file.execute(
        "INSERT OR REPLACE INTO users VALUES (?, ?, ?, ?)",
        (key, json.dumps(row.stamps), row.free_at_ms, row.expires_at_ms),
    )


def _keys(integration_id: str, user: str) -> list[str]:
    return [f"{integration_id} {one}" for one in both_digests(user) if one]


def _later(mark: Stamp, by_ms: int) -> Stamp:
    return mark._replace(time_ms=mark.time_ms + by_ms)


def _decoded(text: object) -> Stamp | None:
    try:
        return Stamp.decode(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _ms(seconds: float) -> int:
    return round(seconds * 1000)

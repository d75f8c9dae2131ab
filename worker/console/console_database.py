"""What the console itself remembers, in a file beside the ledger: the key of its sessions, which of
them have ended, and the configurations that it has seen, masked.

Without the right to write there it forgets all of that when it ends.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

import structlog

log = structlog.get_logger(__name__)

_MOST_VERSIONS: Final = 5
"""Of an integration."""
_OWNER_ONLY: Final = 0o600
_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS secret (id INTEGER PRIMARY KEY CHECK (id = 1), value BLOB)",
    "CREATE TABLE IF NOT EXISTS configs (integration TEXT, digest TEXT, text TEXT, version TEXT, "
    "seen_at INTEGER, PRIMARY KEY (integration, digest))",
    "CREATE TABLE IF NOT EXISTS ended_sessions (id TEXT PRIMARY KEY, issued_at INTEGER)",
)


class SeenConfig(NamedTuple):
    """A version of an integration's configuration, masked. `seen_at` is since when its file had
    that, as far as this console knows, in ms since 1970.
    """

    integration: str
    version: str
    text: str
    seen_at: int

    @property
    def digest(self) -> str:
        """What tells two versions of a configuration apart, a changed secret included."""
        return hashlib.sha256(self.text.encode(errors="surrogatepass")).hexdigest()[:16]


class KnownVersion(NamedTuple):
    """A version of a configuration that is remembered, without its text. It was in force from
    `seen_at` to `until` (ms since 1970), or is the last one that was seen, where that is None.
    """

    integration: str
    version: str
    digest: str
    seen_at: int
    until: int | None


class ConsoleMemory:
    """What the console itself remembers, kept at `path`, None for nowhere."""

    def __init__(self, path: Path | None) -> None:
        self._lock = Lock()
        self._connection = _opened(path)

    def secret(self) -> bytes:
        """The console's secret: 32 random bytes, the same as long as the file is there."""
        with self._lock, self._connection as connection:
            new = secrets.token_bytes(32)
            connection.execute("INSERT OR IGNORE INTO secret VALUES (1, ?)", (new,))
            (found,) = connection.execute("SELECT value FROM secret").fetchone()
            return bytes(found)

    def end_session(self, session_id: str, issued_ms: int, oldest_ms: int) -> None:
        """End a session for all consoles beside this ledger. Those that began before `oldest_ms`
        are forgotten: they have run out.
        """
        with self._lock, self._connection as connection:
            connection.execute("DELETE FROM ended_sessions WHERE issued_at < ?", (oldest_ms,))
            connection.execute(
                "INSERT OR IGNORE INTO ended_sessions VALUES (?, ?)", (session_id, issued_ms)
            )

    def is_ended(self, session_id: str) -> bool:
        """Whether the holder of a session has signed out, at whichever console."""
        with self._lock, self._connection as connection:
            asked = "SELECT 1 FROM ended_sessions WHERE id = ?"
            return connection.execute(asked, (session_id,)).fetchone() is not None

    def note(self, configs: Iterable[SeenConfig], now_ms: int) -> None:
        """Remember the configurations that are in force at `now_ms` (ms since 1970), and forget the
        oldest of each integration. One that is in force again is the latest again.
        """
        with self._lock, self._connection as connection:
            for one in configs:
                latest = connection.execute(
                    "SELECT digest, seen_at FROM configs WHERE integration = ? "
                    "ORDER BY rowid DESC LIMIT 1",
                    (one.integration,),
                ).fetchone()
                if latest is not None and latest[0] == one.digest:
                    continue
                # A file that is put back may have its old time, at which another was in force.
                is_later = latest is None or one.seen_at > latest[1]
                seen_at = one.seen_at if is_later else max(now_ms, latest[1])
                connection.execute(  # its row gets the highest number, by which they are in order
                    "INSERT OR REPLACE INTO configs VALUES (?, ?, ?, ?, ?)",
                    (one.integration, one.digest, one.text, one.version, seen_at),
                )
                connection.execute(
                    "DELETE FROM configs WHERE integration = ? AND rowid NOT IN (SELECT "
                    "rowid FROM configs WHERE integration = ? ORDER BY rowid DESC LIMIT ?)",
                    (one.integration, one.integration, _MOST_VERSIONS),
                )

    def versions(self, integration: str) -> list[SeenConfig]:
        """The remembered versions of an integration's configuration, the latest first."""
        with self._lock, self._connection as connection:
            rows = connection.execute(
                "SELECT integration, version, text, seen_at FROM configs WHERE integration = ? "
                "ORDER BY rowid DESC",
                (integration,),
            ).fetchall()
        return [SeenConfig(*row) for row in rows]

    def known_versions(self, integration: str, most: int) -> list[KnownVersion]:
        """The remembered versions of an integration's configuration, or of all where that is "",
        the ones in force last come first.
        """
        with self._lock, self._connection as connection:
            rows = connection.execute(
                "SELECT integration, version, digest, seen_at, until FROM (SELECT *, rowid AS "
                "place, LEAD(seen_at) OVER (PARTITION BY integration ORDER BY rowid) AS until "
                "FROM configs WHERE ? IN ('', integration)) "
                "ORDER BY COALESCE(until, seen_at) DESC, place DESC LIMIT ?",
                (integration, most),
            ).fetchall()
        return [KnownVersion(*row) for row in rows]

    def version(self, integration: str, digest: str) -> SeenConfig | None:
        """One version of a configuration by its digest, None where it is forgotten."""
        return next((one for one in self.versions(integration) if one.digest == digest), None)

    def close(self) -> None:
        """Let go of the file in which the console remembers."""
        with self._lock:
            self._connection.close()


def _opened(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNER_ONLY))
            return _with_tables(str(path))
        except (OSError, sqlite3.Error) as error:
            log.warning("console.forgets", error=type(error).__name__)
    return _with_tables(":memory:")


def _with_tables(database: str) -> sqlite3.Connection:
    connection = sqlite3.connect(database, timeout=5.0, check_same_thread=False)
    try:
        with connection:
            for table in _TABLES:
                connection.execute(table)
    except sqlite3.Error:
        connection.close()
        raise
    return connection

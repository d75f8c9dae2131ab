"""Whether the ordering secret may be used with a SQLite file, which is found out once."""

from __future__ import annotations

import sqlite3

from worker.ordering.secret_marks import SecretRefused, mark_after
from worker.ordering.sqlite_commits import Commits
from worker.ordering.store_protocol import StoreUnavailable
from worker.ordering.user_digests import Marks


class Admission:
    """Of the secrets that have `marks`, None where there is nothing to be found out."""

    def __init__(self, commits: Commits, marks: Marks | None) -> None:
        self._commits = commits
        self._marks = marks
        self._is_admitted = marks is None

    async def admit(self) -> None:
        """Find it out, unless it is known. Raises `SecretRefused` if it may not be used, and
        `StoreUnavailable`.
        """
        if self._is_admitted or self._marks is None:
            return
        marks = self._marks

        def admit(file: sqlite3.Connection) -> str:
            found = file.execute("SELECT value FROM facts WHERE name = 'digests'").fetchone()
            try:
                after = mark_after(str(found[0]) if found else None, marks)
            except SecretRefused as refused:
                return str(refused)
            file.execute("INSERT OR REPLACE INTO facts VALUES ('digests', ?)", (after,))
            return ""

        refused = await self._commits.write(admit)
        if refused:
            raise SecretRefused(refused)
        self._is_admitted = True

    async def admit_or_refuse(self) -> None:
        """As `admit`, for what can only be done or not: raises `StoreUnavailable` alone."""
        try:
            await self.admit()
        except SecretRefused as refused:
            raise StoreUnavailable(f"CONSENT_WORKER_ORDERING_SECRET {refused}") from None

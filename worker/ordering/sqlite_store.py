"""The state of newest-wins in one SQLite file: for a single worker, and kept over its restarts.

Leases are kept in memory, and in a `LeaseJournal` for the worker after this one. The clock of what
is in the file is that of the machine.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

import structlog

from worker.fast_tuples import new_tuple
from worker.ordering.lease_journal import LeaseJournal
from worker.ordering.local_holds import Holds
from worker.ordering.sqlite_admission import Admission
from worker.ordering.sqlite_commits import Commits
from worker.ordering.sqlite_month_keys import SqliteMonthKeys
from worker.ordering.sqlite_namespace import (
    SqliteEpochs,
    SqliteInlets,
    SqliteStateIds,
    remember,
    remembered,
)
from worker.ordering.sqlite_rows import (
    SCHEMA,
    Row,
    erase_user,
    find_all,
    is_of_nobody,
    stamps_in,
    texts_in,
    write_settlement,
)
from worker.ordering.sqlite_sweep import sweep
from worker.ordering.store_protocol import (
    LASTING_SECONDS,
    LONGEST_LEASE_SECONDS,
    REMEMBERED_CHARACTERS,
    Claim,
    Contended,
    Granted,
    OnePart,
    Settlement,
    Timing,
    to_ms,
)
from worker.ordering.user_digests import Marks, shown_user
from worker.transform.decision_types import NOTHING

log = structlog.get_logger(__name__)

_SWEEP_EVERY: Final = 200
"""Commits between two looks at some hundred users, whether their time is over."""
_UNREADABLE: Final = (
    "what the file has of this user can't be read and counts as unknown: an older choice may be "
    "sent once more; a whole record is sent after a look-up, or waits"
)


class SqliteStore(OnePart):
    """A state in the SQLite file `path`, whose directory must be there. `clock` is monotonic and
    times leases; `wall_clock` is that of gaps and retention; both in seconds. `marks` are those of
    the secrets by which users are called. `is_worker`: whether it is for a worker, of which a file
    has one, or for a command beside it.
    """

    is_shared = False
    """A file has one worker."""
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
        self._commits = Commits(path, SCHEMA, is_worker=is_worker)
        self.epochs = SqliteEpochs(self._commits, wall_clock)
        self.inlets = SqliteInlets(self._commits)
        self.state_ids = SqliteStateIds(self._commits)
        self.month_keys = SqliteMonthKeys(self._commits, wall_clock)
        self.timing = timing
        self._wall_clock = wall_clock
        self._marks = marks
        self._admission = Admission(self._commits, marks)
        self._held = Holds(timing.lease_seconds, clock)
        journal = LeaseJournal(path, timing.lease_seconds, wall_clock)
        self._journal = journal if is_worker else None
        self._settled = 0
        self._swept_to = ""

    async def begin(self, state_id: str, claims: Sequence[Claim]) -> list[Granted | Contended]:
        """See `NewestStore`."""
        await self._admission.admit_or_refuse()
        lease = self._held.new_lease()
        asked: dict[str, Claim] = {}
        held: dict[str, Contended] = {}
        for claim in claims:
            anothers = self._held.take(state_id, claim.user, lease)
            if anothers is not None:
                held[claim.user] = anothers
            elif claim.user in asked:  # claimed twice, and granted once
                held[claim.user] = Contended(self.timing.lease_seconds, is_held=True)
            else:
                asked[claim.user] = claim
        try:
            found = await self._commits.read(lambda file: self._look(file, state_id, asked))
        except BaseException:
            self._held.let_go(state_id, asked, lease)
            raise
        now_ms = self._now_ms()
        given = {
            claim.user: self._answer(state_id, lease, claim, rows, now_ms)
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
        self, state_id: str, settlements: Sequence[Settlement], gap_seconds: float
    ) -> None:
        """See `NewestStore`."""
        now_ms, held = self._now_ms(), self._held
        changes = [
            (one, one.sent and not held.is_anothers(state_id, one.user, one.lease))
            for one in settlements
            if one.written or one.sent
        ]
        if changes:
            await self._admission.admit_or_refuse()
            expires_at_ms = now_ms + to_ms(self.timing.retention_seconds)
            never_ms = now_ms + to_ms(LASTING_SECONDS)
            free_at_ms = now_ms + to_ms(gap_seconds)
            self._settled += 1
            sweeps = self._settled % _SWEEP_EVERY == 0

            def write(file: sqlite3.Connection) -> None:
                for one, has_gap in changes:
                    until_ms = free_at_ms if has_gap else 0
                    ends_ms = never_ms if one.lasts else expires_at_ms
                    write_settlement(file, state_id, one, now_ms, until_ms, ends_ms)
                self._free(state_id, settlements)
                if sweeps:
                    self._swept_to = sweep(file, self._swept_to, now_ms)

            await self._commits.write(write)
        elif settlements:
            await self._commits.read(lambda _: self._free(state_id, settlements))
        for one in settlements:
            self._held.let_go(state_id, [one.user], one.lease)

    async def erase(self, state_id: str, user: str, before_ms: int, kept_seconds: float) -> None:
        """See `NewestStore`."""
        await self._admission.admit_or_refuse()
        now_ms = self._now_ms()
        until_ms = now_ms + to_ms(kept_seconds)
        await self._commits.write(
            lambda file: erase_user(file, state_id, user, before_ms, now_ms, until_ms)
        )

    async def remember_integrations(
        self, integrations: Collection[str], for_seconds: float
    ) -> None:
        """See `NewestStore`."""
        until_ms = self._now_ms() + to_ms(for_seconds)
        names = [one for one in integrations if len(one) <= REMEMBERED_CHARACTERS]
        if names:
            await self._commits.write(lambda file: remember(file, names, until_ms))

    async def remembered_integrations(self) -> set[str]:
        """See `NewestStore`."""
        names: set[str] = await self._commits.read(lambda file: remembered(file, self._now_ms()))
        return names

    async def ping(self, part: str = "") -> None:
        """See `NewestStore`."""
        await self._admission.admit_or_refuse()
        at = str(self._now_ms())
        said = "INSERT OR REPLACE INTO facts VALUES ('ping', ?)"
        await self._commits.write(lambda file: file.execute(said, (at,)))

    async def admit(self) -> None:
        """Find out whether the ordering secret may be used with this file; until then nothing is
        granted. Raises `SecretRefused` if not.
        """
        await self._admission.admit()

    async def close(self) -> None:
        """See `NewestStore`."""
        await self._commits.close()
        if self._journal is not None:
            self._journal.close()

    def _look(
        self, file: sqlite3.Connection, state_id: str, users: Collection[str]
    ) -> list[list[Row | None]]:
        if self._journal is not None:
            self._journal.hold(state_id, users)
        return find_all(file, state_id, users)

    def _free(self, state_id: str, settlements: Sequence[Settlement]) -> None:
        if self._journal is not None:
            self._journal.free(state_id, [one.user for one in settlements])

    def _answer(
        self,
        state_id: str,
        lease: int,
        claim: Claim,
        rows: Sequence[Row | None],
        now_ms: int,
    ) -> Granted | Contended:
        held_ms = 0 if self._journal is None else self._journal.left_ms(state_id, claim.user)
        if is_of_nobody(rows) and not held_ms:
            return new_tuple(Granted, (lease, NOTHING, NOTHING, False))
        gaps_ms = [one.free_at_ms - now_ms for one in rows if one is not None]
        left_ms = max(held_ms, *gaps_ms, 0)
        # No gap of ours is longer; the clock was set back, or somebody else has written it.
        if 0 < left_ms <= to_ms(LONGEST_LEASE_SECONDS):
            self._held.let_go(state_id, [claim.user], lease)
            return Contended(left_ms / 1000, is_held=False)
        if None in rows:
            self.unreadable_values += rows.count(None)
            user = shown_user(claim.user, self._marks)
            log.error("ordering.unreadable_value", user=user, detail=_UNREADABLE)
        texts = texts_in(rows, claim.texts, now_ms) if claim.texts else NOTHING
        stored = stamps_in(rows, claim.attributes, now_ms)
        return Granted(lease, stored, texts, is_damaged=None in rows)

    def _now_ms(self) -> int:
        return to_ms(self._wall_clock())

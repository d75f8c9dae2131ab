"""What the ledger knows of the fleet now: the workers, what waits, what fails, what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, select

from worker.evidence.bounded_json import Unreadable
from worker.ledger.awaited_outcomes import awaited
from worker.ledger.conservation import (
    OVERDUE_MS,
    Conservation,
    Overdue,
    Tally,
    conserve,
    shares_of,
)
from worker.ledger.dictionary import texts_of
from worker.ledger.explained_events import explained_by
from worker.ledger.known_letters import LetterPass, last_pass
from worker.ledger.letter_group_list import LetterGroup, letter_groups, letters_by_integration
from worker.ledger.parked_again_events import is_parked_again
from worker.ledger.progress import read_progress
from worker.ledger.records import Progress
from worker.ledger.schema import BALANCES, CHAINS, LIVES
from worker.ledger.stream_findings import ToldFinding, told_findings
from worker.ledger.worker_state import LaneState, WorkerState, read_state

_SHOWN_AFTER_MS: Final = 3_600_000
"""A worker that ended is shown for an hour."""
_DUE_MS: Final = (0, 60_000, 600_000)
"""What waits is told as due by now, within a minute, within ten, and later."""
STANDS_MS: Final = 15_000
"""A ledger says that it runs every five seconds."""


class Failing(NamedTuple):
    """An integration that does not go well at a worker."""

    worker: str
    lane: LaneState


class Overview(NamedTuple):
    """What the ledger knows of the fleet: `waiting` are events by when they are due, in the order
    of `WAITING_NAMES`; `letters` is None before the first pass over the dead letters.
    `dead_letters` are those that are there now, by integration, while `conservation` counts lives
    that ended so.
    """

    now: int
    progress: Progress | None
    workers: Sequence[Tally]
    doors: Sequence[Tally]
    waiting: Sequence[int]
    failing: Sequence[Failing]
    groups: Sequence[LetterGroup]
    letters: LetterPass | None
    findings: Sequence[ToldFinding]
    conservation: Conservation
    dead_letters: Mapping[str, int]

    @property
    def live(self) -> Sequence[Tally]:
        """The workers that may still write."""
        return [one for one in self.workers if one.is_live(self.now)]

    @property
    def untold(self) -> Mapping[str, int]:
        """The waiting events of integrations of which no live worker tells, by integration: most
        often its file is gone, or no event of it has come back since the workers began.
        """
        lanes = {
            lane.integration
            for one in self.live
            if one.state is not None
            for lane in one.state.lanes
        }
        return {
            one: shares.waiting
            for one, shares in sorted(self.conservation.shares.items())
            if one and shares.waiting and one not in lanes
        }

    @property
    def runs(self) -> bool:
        """Whether a ledger reads the stream now."""
        return self.progress is not None and self.now - self.progress.alive_at <= STANDS_MS

    @property
    def oldest_withdrawal_at(self) -> int | None:
        """When the oldest withdrawal was made that a worker has in hand, in ms since 1970."""
        return min(
            filter(None, (_said(one, "oldest_withdrawal_at") for one in self.live)), default=None
        )

    @property
    def oldest_event_at(self) -> int | None:
        """When the oldest event was made that a worker has in hand, in ms since 1970."""
        return min(filter(None, (_said(one, "oldest_event_at") for one in self.live)), default=None)


WAITING_NAMES: Final = ("due", "within a minute", "within ten minutes", "later")


def overview(connection: Connection, now_ms: int) -> Overview:
    """What the ledger knows of the fleet, at `now_ms` (ms since 1970)."""
    tallies = tallies_of(connection)
    overdue = _overdue(connection, now_ms)
    balances = connection.execute(select(BALANCES)).all()
    names = texts_of(connection, [row.integration_id for row in balances])
    shares = shares_of(
        [(names.get(row.integration_id, ""), row.outcome, row.lives) for row in balances], overdue
    )
    shown = [
        one for one in tallies if one.state is not None and now_ms - one.last_at < _SHOWN_AFTER_MS
    ]
    progress = read_progress(connection)
    # A ledger that is behind has not heard of anybody for a while, and they may live all the same.
    read_ms = now_ms if progress is None else min(now_ms, progress.written_at)
    explained = explained_by(tallies, read_ms)
    return Overview(
        now=now_ms,
        progress=progress,
        workers=[one for one in shown if not one.is_door],
        doors=[one for one in shown if one.is_door],
        waiting=_waiting(connection, now_ms),
        failing=[
            Failing(one.worker, lane)
            for one in shown
            if one.is_live(now_ms) and one.state is not None
            for lane in one.state.lanes
            if lane.state != "well"
        ],
        groups=letter_groups(connection),
        letters=last_pass(connection),
        findings=told_findings(connection),
        conservation=conserve(
            tallies, shares, overdue, now_ms, awaited(connection, now_ms, explained)
        ),
        dead_letters=letters_by_integration(connection),
    )


def _said(one: Tally, name: str) -> int | None:
    value: int | None = getattr(one.state, name, None)
    return value


def tallies_of(connection: Connection) -> list[Tally]:
    """What each worker and door said last."""
    rows = connection.execute(select(CHAINS).where(CHAINS.c.is_worker).order_by(CHAINS.c.id)).all()
    names = texts_of(connection, [row.worker_id for row in rows])
    return [
        Tally(
            worker=names.get(row.worker_id, ""),
            chain=row.chain.hex(),
            state=_state(row.state),
            last_at=row.last_at,
            has_ended=row.has_ended,
            receipts=row.receipts,
            unbalanced_since=row.unbalanced_since,
            unreceipted_at=row.unreceipted_at,
        )
        for row in rows
    ]


def _state(text: str | None) -> WorkerState | None:
    if text is not None:
        with suppress(Unreadable):
            return read_state(text)
    return None


def _waiting(connection: Connection, now_ms: int) -> list[int]:
    counts = []
    before = 0
    for within in _DUE_MS:
        until = LIVES.c.due_at <= now_ms + within
        query = select(func.count()).select_from(LIVES).where(until)
        count = connection.execute(query).scalar_one()
        counts.append(count - before)
        before = count
    query = select(func.count()).select_from(LIVES).where(LIVES.c.due_at.is_not(None))
    return [*counts, connection.execute(query).scalar_one() - before]


def _overdue(connection: Connection, now_ms: int) -> list[Overdue]:
    before_ms = now_ms - OVERDUE_MS
    query = (
        select(LIVES.c.integration_id, func.count(), func.min(LIVES.c.due_at))
        .where(LIVES.c.due_at < before_ms, ~is_parked_again(before_ms))
        .group_by(LIVES.c.integration_id)
    )
    rows = connection.execute(query).all()
    names: Mapping[int, str] = texts_of(connection, [row[0] for row in rows])
    return [Overdue(names.get(one, ""), count, since) for one, count, since in rows]

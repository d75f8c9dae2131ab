"""Whether all events that were taken are somewhere: what adds up, what does not, and since when.
Pure.

What workers say of themselves (events taken from the queues) is counted apart from what receipts
say (the lives of events at integrations), so that neither covers up for the other. What doors say
that they have put on the queue is told beside both: there may be other producers. Of each event
that a door has put on record an outcome is awaited.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from worker.ledger.life import DEAD, DELIVERED, PARKED, RETRIED, SKIPPED
from worker.ledger.worker_state import WorkerState

SILENT_MS: Final = 60_000
"""A worker writes its state every few seconds; one that was silent for so long has ended."""
OVERDUE_MS: Final = 600_000
"""The delay holds an event for nine minutes at most, and what came back is soon handled."""


class Tally(NamedTuple):
    """What one worker or door said last. `state` is None where it never told; `unbalanced_since` is
    when its own numbers began to disagree, `unreceipted_at` when it last told of more outcomes
    without a receipt than before. Times are in ms since 1970.
    """

    worker: str
    chain: str
    state: WorkerState | None
    last_at: int
    has_ended: bool
    receipts: int
    unbalanced_since: int | None
    unreceipted_at: int | None = None

    def is_live(self, now_ms: int) -> bool:
        """Whether a worker or a door may still write."""
        return not self.has_ended and now_ms - self.last_at <= SILENT_MS

    @property
    def is_door(self) -> bool:
        """Whether a process puts events on the queue, and takes none off it."""
        return self.state is not None and self.state.received is not None

    def ended_without_end(self, now_ms: int) -> bool:
        """Whether a worker or a door was killed, or lost the broker for good."""
        return not self.has_ended and now_ms - self.last_at > SILENT_MS


class Taken(NamedTuple):
    """Events of all processes together, as they told."""

    taken: int = 0
    settled: int = 0
    in_hand: int = 0
    returned: int = 0


class Missing(NamedTuple):
    """Events that do not add up: how many of whom, since when (ms since 1970)."""

    events: int
    where: str
    since: int | None
    why: str


class Shares(NamedTuple):
    """What became of the lives of one integration, or of all."""

    delivered: int = 0
    skipped: int = 0
    dead: int = 0
    waiting: int = 0
    overdue: int = 0

    @property
    def begun(self) -> int:
        """All lives that have a receipt."""
        return self.delivered + self.skipped + self.dead + self.waiting


class Overtaken(NamedTuple):
    """Events of an organization that a door received, and that have no outcome though later ones
    have; beyond those that what workers tell explains. `since` is when the first of them came (ms
    since 1970), and `first_ones` are the ids of some that came first.
    """

    organization: str
    events: int
    since: int
    first_ones: Sequence[str] = ()


class Awaited(NamedTuple):
    """How many events a door has put on record that have no outcome yet, most of which wait on the
    queue, and those that were overtaken.
    """

    events: int = 0
    overtaken: Sequence[Overtaken] = ()


class Conservation(NamedTuple):
    """Which events add up: `received` are events that doors have put on the queue, and `awaited`
    those on record without an outcome, of which the overtaken ones are missing. `shares` are by
    integration, "" for none. `unreceipted` are outcomes without a receipt, by integration: known
    losses of evidence, and none of events.
    """

    received: int
    awaited: Awaited
    taken: Taken
    total: Shares
    shares: Mapping[str, Shares]
    unreceipted: Mapping[str, int]
    missing: Sequence[Missing]

    @property
    def adds_up(self) -> bool:
        """Whether no event is missing."""
        return not self.missing


class Overdue(NamedTuple):
    """Events that are waiting and should have come back; `since` is the oldest one's time."""

    integration: str
    events: int
    since: int


_NONE_AWAITED: Final = Awaited()
WHY_OVERTAKEN: Final = "received by a door, and without an outcome though later ones have theirs"


def shares_of(
    balances: Iterable[tuple[str, int, int]], overdue: Iterable[Overdue]
) -> dict[str, Shares]:
    """What became of the lives by integration, from rows of integration, outcome and lives."""
    counts: dict[str, dict[int, int]] = {}
    for integration, outcome, lives in balances:
        counts.setdefault(integration, {})[outcome] = lives
    late = {one.integration: one.events for one in overdue}
    return {
        integration: Shares(
            delivered=by.get(DELIVERED, 0),
            skipped=by.get(SKIPPED, 0),
            dead=by.get(DEAD, 0),
            waiting=by.get(RETRIED, 0) + by.get(PARKED, 0),
            overdue=late.get(integration, 0),
        )
        for integration, by in counts.items()
    }


def conserve(
    tallies: Iterable[Tally],
    shares: Mapping[str, Shares],
    overdue: Sequence[Overdue],
    now_ms: int,
    awaited: Awaited = _NONE_AWAITED,
) -> Conservation:
    """Which events add up, at `now_ms`.

    Of a process that ended without end, what it took is what it has receipts for, and what it had
    in hand counts as returned: the broker has it again. What it had acknowledged without a receipt
    by then stays lost.
    """
    received, taken = 0, Taken()
    missing: list[Missing] = []
    unreceipted: dict[str, int] = {}
    for one in tallies:
        if one.state is None:
            continue
        received += one.state.received or 0
        taken = _added(taken, one, now_ms)
        for integration, count in one.state.unreceipted.items():
            unreceipted[integration] = unreceipted.get(integration, 0) + count
        is_gone = one.ended_without_end(now_ms)
        events = one.state.silent if is_gone else one.state.missing
        if events:
            why = "taken, and neither settled with a receipt nor in hand nor returned"
            missing.append(Missing(events, one.worker, one.unbalanced_since, why))
    for late in overdue:
        where = f"integration {late.integration}" if late.integration else "no integration"
        missing.append(Missing(late.events, where, late.since, "waiting past the time it was due"))
    for lost in awaited.overtaken:
        where = f"organization {lost.organization}" if lost.organization else "no organization"
        missing.append(Missing(lost.events, where, lost.since, WHY_OVERTAKEN))
    total = Shares(*(sum(parts) for parts in zip(*shares.values(), strict=True)) if shares else ())
    return Conservation(received, awaited, taken, total, shares, unreceipted, missing)


def _added(taken: Taken, one: Tally, now_ms: int) -> Taken:
    state = one.state
    if state is None:
        return taken
    in_hand, returned = state.in_hand, state.returned
    if one.ended_without_end(now_ms) or one.has_ended:
        in_hand, returned = 0, returned + in_hand
    return Taken(
        taken.taken + state.taken,
        taken.settled + state.settled,
        taken.in_hand + in_hand,
        taken.returned + returned,
    )

"""Events without an outcome that are not missing, by what workers tell of themselves. Pure.

A worker tells how many outcomes it has no receipt of, and which events these were nobody knows. So
they may be as many of the overtaken ones, but none that was received after that number last grew.

A worker may hold events while others go on: Redis is away for it alone, or a lane of its own stands
still. It tells how many it has in hand and when the oldest was made, so they may be as many of the
overtaken ones, but none that was received before that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from worker.ledger.conservation import Tally

CLOCKS_MS: Final = 60_000
"""By so much the clocks of a door and of a worker may differ."""


class Explained(NamedTuple):
    """Events without an outcome that workers explain: pairs of a time (ms since 1970) and of how
    many events: so many `unreceipted` ones that were received before it, and so many that are
    `held` and were received since.
    """

    unreceipted: Sequence[tuple[int, int]] = ()
    held: Sequence[tuple[int, int]] = ()

    def first_ones(self, count_before: Callable[[int], int]) -> int:
        """How many of the overtaken events that came first are unreceipted; `count_before` says how
        many of them came before a time.
        """
        explained = 0
        for before_ms, events in sorted(self.unreceipted):
            explained = min(explained + events, count_before(before_ms))
        return explained

    def last_ones(self, count_since: Callable[[int], int]) -> int:
        """How many of the other overtaken events that came last are held; `count_since` says how
        many of those others came since a time.
        """
        explained = 0
        for since_ms, events in sorted(self.held, reverse=True):
            explained = min(explained + events, count_since(since_ms))
        return explained


def explained_by(tallies: Iterable[Tally], read_ms: int) -> Explained:
    """The events without an outcome that workers explain, as the ledger has heard until `read_ms`.
    A door's receipt that is missing is one of an event that nobody awaits.
    """
    told = [(one, one.state) for one in tallies if one.state is not None and not one.is_door]
    unreceipted = [
        (one.unreceipted_at + CLOCKS_MS, state.unreceipted_events)
        for one, state in told
        if one.unreceipted_at is not None
    ]
    held = [
        (state.oldest_event_at - CLOCKS_MS, state.in_hand)
        for one, state in told
        if state.oldest_event_at is not None and one.is_live(read_ms)
    ]
    return Explained(unreceipted, held)

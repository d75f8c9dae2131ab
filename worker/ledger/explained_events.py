"""Events without an outcome that are not missing, by what workers tell of themselves. Pure.

A worker tells how many outcomes it has no receipt of, and which events these were nobody knows. So
they may be as many of the overtaken ones, but none that was received after that number last grew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from worker.ledger.conservation import Tally

CLOCKS_MS: Final = 60_000
"""By so much the clocks of a door and of a worker may differ."""


class Explained(NamedTuple):
    """Pairs of a time (ms since 1970) and of how many events: so many `unreceipted` ones that were
    received before it.
    """

    unreceipted: Sequence[tuple[int, int]] = ()

    def first_ones(self, count_before: Callable[[int], int]) -> int:
        """How many of the overtaken events that came first are explained; `count_before` says how
        many of them came before a time. The latest ones stay, since they are explained least.
        """
        explained = 0
        for before_ms, events in sorted(self.unreceipted):
            explained = min(explained + events, count_before(before_ms))
        return explained


def explained_by(tallies: Iterable[Tally]) -> Explained:
    """What processes told. A door's outcome without a receipt is one that nobody awaits."""
    return Explained(
        [
            (one.unreceipted_at + CLOCKS_MS, one.state.unreceipted_events)
            for one in tallies
            if one.state is not None and one.unreceipted_at is not None and not one.is_door
        ]
    )

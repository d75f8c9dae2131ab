"""How old the oldest event is that a worker has in hand, and the oldest withdrawal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from worker.delivery.lanes.lane import Lane


class Oldest(NamedTuple):
    """When the oldest event and withdrawal in hand were made, in ms since 1970; None for none."""

    event_ms: int | None
    withdrawal_ms: int | None


def oldest_in_hand(lanes: Iterable[Lane], now_ms: int) -> Oldest:
    """When the oldest event and withdrawal in `lanes` were made. One that says it was made later
    than now counts as made now.
    """
    oldest = oldest_withdrawal = None
    for lane in lanes:
        for delivery in lane:
            made_ms = delivery.choice.event_time_ms
            if oldest is None or made_ms < oldest:
                oldest = made_ms
            if delivery.choice.kind == "withdrawn" and (
                oldest_withdrawal is None or made_ms < oldest_withdrawal
            ):
                oldest_withdrawal = made_ms
    return Oldest(_by_now(oldest, now_ms), _by_now(oldest_withdrawal, now_ms))


def _by_now(made_ms: int | None, now_ms: int) -> int | None:
    return None if made_ms is None else min(made_ms, now_ms)

"""Receipts a second, of counts by slot of time. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from worker.ledger.minutes import MINUTE_MS
from worker.ledger.outcome_series import Slots


def rates_of(
    counts: Sequence[int], slots: Slots, now_ms: int, begins_ms: int | None = None
) -> list[float]:
    """Receipts a second for each slot. Of the last one, which has not ended, only a part is over;
    the rest is taken to be as the slot before, or the line would jump at the beginning of each
    slot. The ledger begins at `begins_ms`: of that slot only the rest counts.
    """
    seconds = slots.ms / 1000
    whole = _as_if_whole(counts, slots, now_ms, begins_ms)
    return [*(one / seconds for one in whole[:-1]), _rate_of_last(whole, slots, now_ms)]


def rate_now(
    counts: Sequence[int], slots: Slots, now_ms: int, begins_ms: int | None = None
) -> float:
    """Receipts a second of the last slot, as `rates_of` tells it."""
    return _rate_of_last(_as_if_whole(counts, slots, now_ms, begins_ms), slots, now_ms)


def _rate_of_last(counts: Sequence[float], slots: Slots, now_ms: int) -> float:
    if not counts:
        return 0.0
    over = (now_ms - slots.since_ms) / slots.ms - (slots.number - 1)
    left = 1 - min(1.0, max(0.0, over))
    before = counts[-2] if len(counts) > 1 else 0
    return (counts[-1] + left * before) / (slots.ms / 1000)


def _as_if_whole(
    counts: Sequence[int], slots: Slots, now_ms: int, begins_ms: int | None
) -> Sequence[float]:
    """The counts as if the ledger had begun with the slot in which it did, and with the one before,
    which stands for the rest of one that has not ended.
    """
    place = -1 if begins_ms is None else (begins_ms - slots.since_ms) // slots.ms
    if begins_ms is None or not 0 <= place < len(counts):
        return counts
    began = slots.since_ms + place * slots.ms
    over = max(MINUTE_MS, min(slots.ms, now_ms - began))
    known = max(MINUTE_MS, began + over - begins_ms)
    whole: list[float] = list(counts)
    whole[place] *= max(1.0, over / known)
    if 0 < place == len(counts) - 1:
        whole[place - 1] = whole[place] * slots.ms / over
    return whole

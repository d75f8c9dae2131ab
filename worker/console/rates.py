"""Receipts a second, of counts by slot of time. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from worker.ledger.outcome_series import Slots


def rates_of(counts: Sequence[int], slots: Slots, now_ms: int) -> list[float]:
    """Receipts a second for each slot. Of the last one, which has not ended, only a part is over;
    the rest is taken to be as the slot before, or the line would jump at the beginning of each
    slot.
    """
    seconds = slots.ms / 1000
    return [*(one / seconds for one in counts[:-1]), rate_now(counts, slots, now_ms)]


def rate_now(counts: Sequence[int], slots: Slots, now_ms: int) -> float:
    """Receipts a second of the last slot."""
    if not counts:
        return 0.0
    over = (now_ms - slots.since_ms) / slots.ms - (slots.number - 1)
    left = 1 - min(1.0, max(0.0, over))
    before = counts[-2] if len(counts) > 1 else 0
    return (counts[-1] + left * before) / (slots.ms / 1000)

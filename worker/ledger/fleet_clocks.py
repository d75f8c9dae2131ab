"""The clocks of the fleet, which may be ahead of the ledger's. Pure."""

from __future__ import annotations

from typing import Final

_MOST_LEAD_MS: Final = 60_000
"""So far clocks may be apart; what is further ahead is of one that is wrong."""


def by_our_clock(at_ms: int, now_ms: int) -> int:
    """When something was written that is of `at_ms` and was read at `now_ms` (ms since 1970). What
    a clock wrote that is far ahead counts as written now, or all would wait for its time to come.
    """
    return at_ms if at_ms <= now_ms + _MOST_LEAD_MS else now_ms

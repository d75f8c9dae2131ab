"""How often an address may show wrong credentials at the door. Pure, and of bounded memory.

Right ones are never refused for that: Didomi's customers share its addresses, so one who has a
wrong secret would lock out all others. No number of guesses finds a secret of 32 characters; what
is bounded is how much of an answer, and of a line, whoever guesses gets.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from worker.serving.address_holders import holder_of

BURST_ATTEMPTS: Final = 20
ATTEMPTS_PER_SECOND: Final = 0.2
MOST_ADDRESSES: Final = 10_000
"""Remembered; the one that was quiet for the longest goes first."""


class AttemptLimits:
    """Counts wrong credentials by address; times are in seconds, of any clock that goes on."""

    def __init__(self, most_addresses: int = MOST_ADDRESSES) -> None:
        self._most = most_addresses
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._left)

    def may_fail(self, address: str, now: float) -> bool:
        """Count wrong credentials of an address; False where there were too many of it."""
        holder = holder_of(address)
        left, at = self._left.get(holder, (float(BURST_ATTEMPTS), now))
        left = min(float(BURST_ATTEMPTS), left + (now - at) * ATTEMPTS_PER_SECOND)
        may = left >= 1
        self._left[holder] = (left - 1 if may else left, now)
        self._left.move_to_end(holder)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return may

    def seconds_until_next(self, address: str, now: float) -> int:
        """In how many whole seconds an address may show wrong credentials again."""
        left, at = self._left.get(holder_of(address), (float(BURST_ATTEMPTS), now))
        left += (now - at) * ATTEMPTS_PER_SECOND
        return max(1, int((1 - left) / ATTEMPTS_PER_SECOND + 1)) if left < 1 else 0

"""How fast a lane has lately gone, and when it will have room for more. Pure but for its clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_FIRST_GUESS: Final = 100.0
_LEAST: Final = 1.0
_TURN_SECONDS: Final = 0.5
_LEARN_SECONDS: Final = 1.0
_LEAST_DELAY_SECONDS: Final = 1.0
_MAX_DELAY_SECONDS: Final = 8.0
"""Soon enough that what was parked goes on within seconds of the endpoint's recovery; what comes
back in vain meanwhile waits in its queue (see `BundleOpening`)."""


class Throughput:
    """Events a second that a lane has lately settled; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rate = _FIRST_GUESS
        self._horizon = 0.0
        self._busy_since = self._settled_at = self._turned_at = clock()
        self._last = self._current = 0

    @property
    def quiet_since(self) -> float:
        """When something was settled last, or the lane began to have something to do."""
        return max(self._busy_since, self._settled_at)

    def begin(self) -> None:
        """The lane, which had nothing to do, has something."""
        self._busy_since = self._clock()
        self._rate = max(self._rate, _FIRST_GUESS)

    def count(self, settled: int) -> None:
        """So many events were settled just now."""
        self._turn()
        self._settled_at = self._clock()
        self._current += settled

    def recent(self) -> float:
        """Events a second in the last half second or whole second."""
        self._turn()
        passed = self._clock() - self._turned_at
        return (self._last + self._current) / (_TURN_SECONDS + passed)

    def seconds_until_room(self, events: int) -> float:
        """Seconds until there is room for `events` more that were not counted on yet."""
        now = self._clock()
        recent = self.recent()
        if recent or now - self._busy_since >= _LEARN_SECONDS:
            self._rate = max(_LEAST, recent)
        # Bounded, or what a bad hour parked would delay the parked ones of the next.
        horizon = max(self._horizon, now) + events / self._rate
        self._horizon = min(horizon, now + _MAX_DELAY_SECONDS)
        return max(_LEAST_DELAY_SECONDS, self._horizon - now)

    def _turn(self) -> None:
        passed = self._clock() - self._turned_at
        if passed >= _TURN_SECONDS:
            is_next = passed < 2 * _TURN_SECONDS
            self._last = self._current if is_next else 0
            self._current = 0
            self._turned_at = self._clock()

"""When requests of a worker start: the busier it is, the longer each waits for company.

A request costs a worker about as much as ten events do, so few large requests are much cheaper than
many small ones. But batches grow by themselves only where the worker is what events wait for; where
it is not (the broker or the endpoints are slower), it would spend on small requests all that it has
to spare. So all lanes share one pace, which slows down while the worker needs much of its core:
what network cards do with interrupts under load. A worker at ease lets nothing wait.

The pace is kept by the generic cell rate algorithm (ITU-T I.371), with starts in the order in which
they are asked for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final


class Alarm:
    """Wakes a lane that may send later: `call` is called at that moment of the loop's clock."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.Handle | None = None
        self._at = 0.0

    def set(self, moment: float) -> None:
        """Wake the lane at that moment at the latest."""
        if self._timer is not None:
            # Kept here: what uvloop gives for a moment that has come does not tell it.
            if self._at <= moment:
                return
            self._timer.cancel()
        self._at = moment
        self._timer = self._loop.call_at(moment, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._call()


LONGEST_WAIT_SECONDS: Final = 0.1
"""How long an event waits for company at most."""
_BUSY: Final = 0.45
_VERY_BUSY: Final = 0.75
_AT_EASE: Final = 0.3
"""Shares of a core."""
_MANY_PER_SECOND: Final = 800
"""Events a second; fewer than these may each have a request, if there is time for it."""
_SHORTEST_SECONDS: Final = 1 / 1000
_LONGEST_SECONDS: Final = 1 / 100
_STEP: Final = 1.5
_BURST: Final = 16
_WINDOW_SECONDS: Final = 0.1


class RequestPacer:
    """Says when the requests of a worker may start. Times are seconds of one monotonic clock;
    `cpu_seconds` says what the process has used.
    """

    def __init__(self, cpu_seconds: Callable[[], float] = time.process_time) -> None:
        self._cpu_seconds = cpu_seconds
        self._interval = _SHORTEST_SECONDS
        self._due_at = 0.0
        self._judged_at = 0.0
        self._came = 0
        self._used_then = cpu_seconds()
        self.delayed = 0
        """How many requests had to wait for company."""
        self.delayed_seconds = 0.0
        """For how long all of them together at most: one that fills up meanwhile starts at once."""

    def came(self) -> None:
        """One more event of any lane is to be sent."""
        self._came += 1

    def reserve(self, now: float) -> float:
        """When the next request may start; a moment before `now` is at once."""
        if now - self._judged_at >= _WINDOW_SECONDS:
            self._judge(now)
        start_at = self._due_at - _BURST * self._interval
        if start_at > now + LONGEST_WAIT_SECONDS:
            start_at = now + LONGEST_WAIT_SECONDS
        else:
            self._due_at = max(self._due_at, now) + self._interval
        if start_at > now:
            self.delayed += 1
            self.delayed_seconds += start_at - now
        return start_at

    def _judge(self, now: float) -> None:
        used = self._cpu_seconds()
        passed = now - self._judged_at
        share, came = (used - self._used_then) / passed, self._came / passed
        self._judged_at, self._used_then, self._came = now, used, 0
        if share > _VERY_BUSY or (share > _BUSY and came > _MANY_PER_SECOND):
            self._interval = min(self._interval * _STEP, _LONGEST_SECONDS)
        elif share < _AT_EASE:
            self._interval = max(self._interval / _STEP, _SHORTEST_SECONDS)

"""When requests of a worker start: the busier it is, the longer each waits for company.

A request costs a worker about as much as ten events do, so few large requests are much cheaper than
many small ones. Batches grow by themselves only once the worker is what events wait for; shortly
before that small requests take up all that is left of its core, and a burst finds none. So all
lanes share one pace, which slows down while the worker needs nearly all of its core: what network
cards do with interrupts under load. A worker that has time to spare lets nothing wait.

The pace is kept by the generic cell rate algorithm (ITU-T I.371), with starts in the order in which
they are asked for.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
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
        # uvloop counts whole milliseconds, to the nearest one: a lane that was woken before its
        # moment would set the alarm again, to be woken at once, and so on until that is there.
        self._timer = self._loop.call_at(math.ceil(moment * 1000) / 1000, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._call()


LONGEST_WAIT_SECONDS: Final = 0.1
"""How long an event waits for company at most."""
_SELDOM_SECONDS: Final = 2 * LONGEST_WAIT_SECONDS
"""After so long without a request of the lane an event finds none to share the next one with."""
_BUSY: Final = 0.95
_AT_EASE: Final = 0.85
_FULL: Final = 0.98
"""Shares of a core. Between them the pace stays as it is."""
_SHORTEST_SECONDS: Final = 1 / 5000
"""More requests than a core can make: at ease only the core is the bound."""
_SMALL_REQUESTS_SECONDS: Final = 1 / 1000
"""Closer together small requests take up nearly all of a core."""
_LONGEST_SECONDS: Final = 1 / 100
_STEP: Final = 1.5
_STEP_BACK: Final = 1.2
_ALL_STEPS_BACK: Final = 22
"""From the longest interval to the shortest one."""
_BURST: Final = 16
_WINDOW_SECONDS: Final = 0.1


def needed_core() -> Callable[[], float]:
    """What tells for how many seconds this thread has needed a core so far: while it had one, and
    while it waited for one that others had. Where Linux does not tell the second (a kernel without
    scheduling statistics, another system), the CPU time of the process.
    """
    statistics = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")

    def seconds() -> float:
        ran_ns, waited_ns, _ = statistics.read_text().split()
        return (int(ran_ns) + int(waited_ns)) / 1e9

    try:
        return seconds if seconds() > 0 else time.process_time
    except (OSError, ValueError):
        return time.process_time


class RequestPacer:
    """Says when the requests of a worker may start. Times are seconds of one monotonic clock;
    `core_seconds` says for how long the worker has needed a core.
    """

    def __init__(self, core_seconds: Callable[[], float]) -> None:
        self._core_seconds = core_seconds
        self._interval = _SHORTEST_SECONDS
        self._due_at = 0.0
        self._judged_at = 0.0
        self._needed_then = core_seconds()
        self._asked = 0
        self._is_full = False
        self.delayed = 0
        """How many requests had to wait for company."""
        self.delayed_seconds = 0.0
        """For how long all of them together at most: one that fills up meanwhile starts at once."""

    def reserve(self, now: float, last_start: float, *, is_behind: bool = False) -> float:
        """When the next request of a lane may start, whose last one started then; a moment before
        `now` is at once. Where company seldom comes in time, waiting for it spares little: that
        counts only once the core is the bound and the worker `is_behind`, with most of the events
        in hand that it may have.
        """
        if now - self._judged_at >= _WINDOW_SECONDS:
            self._judge(now)
        self._asked += 1
        if now - last_start > _SELDOM_SECONDS and not (self._is_full and is_behind):
            return now
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
        needed = self._core_seconds()
        passed = now - self._judged_at
        share = (needed - self._needed_then) / passed
        apart = passed / max(self._asked, 1)
        self._judged_at, self._needed_then, self._asked = now, needed, 0
        self._is_full = share > _FULL
        if share > _BUSY:
            # From how far apart they really are, or many steps would pass without effect; but what
            # keeps a worker busy with few requests is something else, such as its start.
            apart = min(apart, _SMALL_REQUESTS_SECONDS)
            self._interval = min(max(self._interval, apart) * _STEP, _LONGEST_SECONDS)
        elif share < _AT_EASE:
            steps = min(passed / _WINDOW_SECONDS, _ALL_STEPS_BACK)  # more after a silence
            self._interval = max(self._interval / _STEP_BACK**steps, _SHORTEST_SECONDS)

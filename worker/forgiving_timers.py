"""Waiting for others, without blaming them for time in which this process itself did not run.

A loop that was kept busy, or a process that was stopped, finds its expired timers before it has
read the answers that came meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

_LATE_SECONDS: Final = 0.05
"""Of a timer: the loop was kept from running."""


def _nothing() -> None:
    """Of who waits no more."""


class Patience:
    """A timer: calls `call` with `arguments` after `seconds` in which the loop ran. One that finds
    its time over late waits on for as long as it was late, and at most as long as at first.
    """

    def __init__(self, seconds: float, call: Callable[..., object], *arguments: Any) -> None:
        self._seconds = seconds
        self._call = call
        self._arguments = arguments
        self._loop = asyncio.get_running_loop()
        self._wait(seconds)

    def cancel(self) -> None:
        """End the timer, and let go of what was to be called, which may hold this."""
        self._timer.cancel()
        self._call, self._arguments = _nothing, ()

    def _wait(self, seconds: float) -> None:
        self._end = self._loop.time() + seconds
        self._timer = self._loop.call_at(self._end, self._look)

    def _look(self) -> None:
        late = self._loop.time() - self._end
        if late > _LATE_SECONDS:
            self._wait(min(late, self._seconds))
        else:
            self._call(*self._arguments)


@asynccontextmanager
async def in_time(seconds: float) -> AsyncIterator[None]:
    """As `asyncio.timeout`, with `Patience`: raises TimeoutError."""
    async with asyncio.timeout(None) as limit:
        loop = asyncio.get_running_loop()
        patience = Patience(seconds, lambda: limit.reschedule(loop.time()))
        try:
            yield
        finally:
            patience.cancel()

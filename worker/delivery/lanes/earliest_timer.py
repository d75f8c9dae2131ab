"""One timer that is set for the earliest moment of those asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """`call` is called at that moment of the loop's clock."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def set(self, moment: float) -> None:
        """Call then at the latest."""
        if self._timer is not None:
            if self._timer.when() <= moment and not self._timer.cancelled():
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(moment, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._call()

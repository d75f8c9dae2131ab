"""How fast letters are replayed, where somebody has asked for a rate."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Final

from worker.interrupt import Stop

_LONGEST_PASS_SECONDS: Final = 600.0
"""Then the letters are given back and taken anew: the broker takes back what is held for 30 minutes
(RabbitMQ documentation, "Consumers: Delivery Acknowledgement Timeout")."""


class ReplayPace:
    """The pace of a replay: so many letters a second; None for as many as can be."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._next_at = 0.0
        self._ends_at = 0.0

    async def begin_pass(self, stop: Stop) -> None:
        """Letters are taken from now on, or when the next one may go: what is not held yet may
        wait for as long as it likes.
        """
        await self._wait(stop)
        self._ends_at = time.monotonic() + _LONGEST_PASS_SECONDS

    @property
    def is_to_give_back(self) -> bool:
        """Whether the letters are held for long enough, or would be before the next one may go."""
        return self._rate is not None and max(time.monotonic(), self._next_at) >= self._ends_at

    async def turn(self, letters: int, stop: Stop) -> bool:
        """Wait until so many letters may go; False when the command is asked to stop."""
        if self._rate is None:
            return True
        await self._wait(stop)
        self._next_at = max(time.monotonic(), self._next_at) + letters / self._rate
        return not stop.is_asked

    async def _wait(self, stop: Stop) -> None:
        seconds = self._next_at - time.monotonic()
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await stop.asked.wait()

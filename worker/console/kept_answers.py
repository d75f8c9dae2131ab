"""An answer that many pages ask for at once is worked out once, and kept for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class KeptAnswer(Generic[Answer]):
    """An answer that pages share: what `ask` gives, which is asked again when the answer is
    `seconds` old. Until it is `stale_seconds` old nobody waits for that: who asks gets the one that
    is there. What `ask` raises goes to all who wait, and is not kept.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[Answer]],
        seconds: float,
        stale_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._seconds = seconds
        self._stale_seconds = stale_seconds
        self._clock = clock
        self._asking: asyncio.Task[Answer] | None = None
        self._kept: tuple[float, Answer] | None = None

    async def get(self) -> Answer:
        """The answer that pages share, at most so old."""
        kept = self._kept
        age = 0.0 if kept is None else self._clock() - kept[0]
        if kept is not None and age < self._seconds:
            return kept[1]
        if self._asking is None:
            self._asking = asyncio.create_task(self._work())
            self._asking.add_done_callback(self._done)
        if kept is not None and age < self._stale_seconds:
            return kept[1]
        # A browser that hangs up cancels its own waiting alone.
        return await asyncio.shield(self._asking)

    def forget(self) -> None:
        """Ask again for the answer that pages share at the next time."""
        self._kept = None

    async def _work(self) -> Answer:
        began = self._clock()
        answer = await self._ask()
        self._kept = (began, answer)
        return answer

    def _done(self, task: asyncio.Task[Answer]) -> None:
        self._asking = None
        if not task.cancelled():
            task.exception()  # it was told to who waits, if anybody does

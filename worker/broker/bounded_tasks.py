"""Work that is under way at the same time, with a bound: many confirms are waited for at once.

One publish after the other would wait a round trip and a disk write of the broker for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class InFlight:
    """At most `size` publishes and the like under way. The first failure is raised, and ends the
    intake.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    async def add(self, work: Coroutine[Any, Any, None]) -> None:
        """Start `work` as soon as there is room; raises what earlier work failed with."""
        while len(self._tasks) >= self._size and self._failure is None:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        if self._failure is not None:
            work.close()
            raise self._failure
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def drain(self) -> None:
        """Wait for all that is under way, whatever becomes of it; raises the first failure."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._failure is not None:
            raise self._failure

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            # aiormq cancels what waits for a confirm when its connection is lost.
            self._failure = self._failure or ConnectionError("the connection closed")
        elif (failure := task.exception()) is not None:
            self._failure = self._failure or failure

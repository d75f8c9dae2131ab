"""Work that goes on beside delivery until the worker stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable


class Tasks:
    """Those under way: the loop itself holds tasks weakly."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Future[None]] = set()

    def begin(self, work: Awaitable[None]) -> None:
        """Begin some work; nobody waits for it."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Cancel what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

"""Whether a session lives: what ends it, what it has running, when the broker was last heard."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from worker.wire.channels import ConsumerChannel, on_closed


class SessionLife:
    """Shared by a session and its parts, any of which may end it."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self.loss_reason = ""
        self.is_draining = False
        self.refused = 0
        """Messages that the broker was told to make dead letters of, unread."""
        self.last_heard_at = 0.0
        """By the monotonic clock, in seconds."""
        self._released: set[ConsumerChannel] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def end(self, reason: str) -> None:
        """Declare the session lost, once."""
        if not self.lost.is_set():
            self.loss_reason = reason
            self.lost.set()

    def end_with(self, channel: ConsumerChannel, purpose: str) -> None:
        """The session ends when `channel` closes, unless it is released before."""

        def closed() -> None:
            if channel not in self._released:
                self.end(f"the {purpose} channel closed")
            self._released.discard(channel)

        on_closed(channel, closed)

    def release(self, channel: ConsumerChannel) -> None:
        """`channel` is about to be closed by us, which does not end the session."""
        self._released.add(channel)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` until it ends or the session closes."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def cancel_tasks(self, within_seconds: float) -> None:
        """Cancel what the session runs, and wait for its end, so long at the most."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=within_seconds)

"""What of a lane is in requests: counted in requests, messages and events."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from worker.delivery.delivery import Delivery

Batch = list[list[Delivery]]
"""The deliveries of one request, by user."""


class UnderWay:
    """`events` are those in hand: what is handed over is not among them."""

    def __init__(self) -> None:
        self.requests = 0
        self.messages = 0
        self.events = 0
        self._rounds: dict[asyncio.Task[None], Batch] = {}

    def __iter__(self) -> Iterator[Delivery]:
        """The events in hand."""
        for batch in self._rounds.values():
            for group in batch:
                yield from (one for one in group if not one.is_handed_over)

    def begin(self, batch: Batch) -> None:
        """A request begins."""
        self.requests += 1
        self.messages += len(batch)
        for group in batch:
            self.events += len(group)

    def keep(self, task: asyncio.Task[None], batch: Batch) -> None:
        """Remember what a task is about until it is done."""
        self._rounds[task] = batch
        task.add_done_callback(self._rounds.pop)

    def end(self, batch: Batch) -> None:
        """A request has ended."""
        self.requests -= 1
        self.messages -= len(batch)
        self.events -= held_of(batch)

    def hand_over(self, events: int) -> None:
        """So many events are not in hand any more."""
        self.events -= events


def held_of(batch: Batch) -> int:
    """Events of a request that are in hand."""
    return sum(not one.is_handed_over for group in batch for one in group)

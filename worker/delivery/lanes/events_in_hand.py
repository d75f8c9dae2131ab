"""What of a lane is in hand: in requests, begun and in the delay, and as successors that the broker
has not confirmed yet.

An event of which Adobe has seen a first attempt is seen at least five more times within its retry
budget, whatever its endpoint does meanwhile. That can be kept for as many as the requests of a lane
hold, since each request may take all of an attempt's time; and for as many as the prefetch of the
retries holds, since all that is in the delay may be due at once, and what is due must be taken in.

Successors count, so that a failing customer can't fill the prefetch while the broker confirms
nothing.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Iterator

from worker.delivery.delivery import Delivery

Batch = list[list[Delivery]]
"""The deliveries of one request, by user."""


class UnderWay:
    """The requests of a lane that are under way. `events` are those in hand: what is handed over is
    not among them.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.messages = 0
        self.events = 0
        self.rounds: set[asyncio.Task[None]] = set()
        """Those that are not done, also those whose events are all handed over."""
        self._batches: dict[int, Batch] = {}

    def __iter__(self) -> Iterator[Delivery]:
        """The events in hand."""
        for batch in self._batches.values():
            for group in batch:
                yield from (one for one in group if not one.is_handed_over)

    @property
    def batches(self) -> list[Batch]:
        """What the requests are about whose end was not told: not of a round whose task is not done
        yet, and which has ended its events.
        """
        return list(self._batches.values())

    def begin(self, batch: Batch) -> None:
        """A request of the lane begins."""
        self._batches[id(batch)] = batch
        self.requests += 1
        self.messages += len(batch)
        for group in batch:
            self.events += len(group)

    def keep(self, task: asyncio.Task[None]) -> None:
        """Remember a round's task until it is done."""
        self.rounds.add(task)
        task.add_done_callback(self.rounds.discard)

    def end(self, batch: Batch) -> None:
        """A request of the lane has ended."""
        del self._batches[id(batch)]
        self.requests -= 1
        self.messages -= len(batch)
        self.events -= held_of(batch)

    def hand_over(self, events: int) -> None:
        """So many events of requests are handed over, and not in hand any more."""
        self.events -= events


def held_of(batch: Batch) -> int:
    """Events of a request that are in hand."""
    return sum(not one.is_handed_over for group in batch for one in group)


class Begun:
    """Begun events of this worker that are in the delay, by integration, and the room for them.

    An event is counted here from the confirm of its retry until that is due. `most` is the prefetch
    of retries, which the integrations that have any share evenly; `clock` gives seconds.
    """

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._clock = clock
        self._due: list[tuple[float, str]] = []
        self._counts: dict[str, int] = {}
        self._dropped: Counter[tuple[float, str]] = Counter()

    def add(self, integration_id: str, due_at: float) -> None:
        """One more begun event is in the delay until `due_at`."""
        heapq.heappush(self._due, (due_at, integration_id))
        self._counts[integration_id] = self._counts.get(integration_id, 0) + 1

    def drop(self, integration_id: str, due_at: float) -> None:
        """A begun event that was added until `due_at` is through, before it is due."""
        self._expire()
        if due_at > self._clock():
            self._dropped[due_at, integration_id] += 1
            self._uncount(integration_id)

    def of(self, integration_id: str) -> int:
        """How many begun events of this integration are in the delay."""
        self._expire()
        return self._counts.get(integration_id, 0)

    def share(self, integration_id: str) -> int | None:
        """How many events this integration may have begun, in the delay or in hand; None is any
        number, for one that has none in the delay.
        """
        self._expire()
        if integration_id not in self._counts:
            return None
        in_delay = sum(self._counts.values())
        return self._most // len(self._counts) if in_delay < self._most else 0

    def _expire(self) -> None:
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            entry = heapq.heappop(self._due)
            if self._dropped[entry] > 1:
                self._dropped[entry] -= 1
            elif entry in self._dropped:
                del self._dropped[entry]
            else:
                self._uncount(entry[1])
        if not self._due:
            self._dropped.clear()

    def _uncount(self, integration_id: str) -> None:
        self._counts[integration_id] -= 1
        if not self._counts[integration_id]:
            del self._counts[integration_id]


class Confirming:
    """Successors of a lane's events that the broker has not confirmed; `clock` gives seconds."""

    def __init__(self, integration_id: str, begun: Begun, clock: Callable[[], float]) -> None:
        self._integration_id = integration_id
        self._begun = begun
        self._clock = clock
        self.since: dict[Delivery, float] = {}
        """When each was published, the one first that waits longest."""

    def add(
        self, delivery: Delivery, done: Callable[[], None], due_at: float | None = None
    ) -> Callable[[], None]:
        """The successor of `delivery` is being published; call what is returned when the broker has
        confirmed it, which calls `done`. A retry is in the delay until `due_at`.
        """
        if delivery.message.is_ours:  # or nothing of it will ever be confirmed
            self.since[delivery] = self._clock()

        def confirmed() -> None:
            self.since.pop(delivery, None)
            if due_at is not None and not delivery.is_through:
                self._begun.add(self._integration_id, due_at)
                delivery.due_at = due_at
            done()

        return confirmed

    def accepted_late(self, delivery: Delivery) -> None:
        """A delivery that was handed over is accepted after all: its successor has only to come
        back, and keeps no other event from being begun.
        """
        delivery.is_through = True
        if delivery.due_at is not None:
            self._begun.drop(self._integration_id, delivery.due_at)

    def drop_returned(self) -> None:
        """Let go of deliveries whose message the broker has again."""
        for delivery in [one for one in self.since if not one.message.is_ours]:
            del self.since[delivery]

"""How many events a lane may begin: no more than it could carry through a hang.

An event of which Adobe has seen a first attempt is seen at least five more times within its retry
budget, whatever its endpoint does meanwhile. That can be kept for as many as the requests of a lane
hold, since each request may take all of an attempt's time; and for as many as the prefetch of the
retries holds, since all that is in the delay may be due at once, and what is due must be taken in.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable


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
        """One more is in the delay until `due_at`."""
        heapq.heappush(self._due, (due_at, integration_id))
        self._counts[integration_id] = self._counts.get(integration_id, 0) + 1

    def drop(self, integration_id: str, due_at: float) -> None:
        """One that was added until `due_at` is through, before it is due."""
        self._expire()
        if due_at > self._clock():
            self._dropped[due_at, integration_id] += 1
            self._uncount(integration_id)

    def of(self, integration_id: str) -> int:
        """How many of this integration are in the delay."""
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
            if self._dropped[entry]:
                self._dropped[entry] -= 1
            else:
                self._uncount(entry[1])
        if not self._due:
            self._dropped.clear()

    def _uncount(self, integration_id: str) -> None:
        self._counts[integration_id] -= 1
        if not self._counts[integration_id]:
            del self._counts[integration_id]

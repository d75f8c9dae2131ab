"""The queues that a door puts events on, in turn. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

REST_SECONDS: Final = 1.0
"""A queue that refused an event is left out for so long, unless all have: one that is full costs
one webhook a second, which comes again, and not its share of all."""


class EventQueues:
    """`targets` are exchange and routing key of each. Times are seconds of one clock."""

    def __init__(self, targets: Sequence[tuple[str, str]]) -> None:
        self._targets = targets
        self._next = 0
        self._refused_at: dict[str, float] = {}
        self._refusing_since: dict[str, float] = {}

    def next(self, now: float) -> tuple[str, str]:
        """Exchange and routing key of the queue whose turn it is."""
        for _ in self._targets:
            target = self._turn()
            refused_at = self._refused_at.get(target[1])
            if refused_at is None or now - refused_at >= REST_SECONDS:
                return target
        return self._turn()

    @property
    def refusing(self) -> list[str]:
        """Routing keys of those that refused the last event."""
        return list(self._refusing_since)

    @property
    def all_refuse(self) -> bool:
        """Whether none takes any."""
        return len(self._refusing_since) == len(self._targets)

    @property
    def refusing_since(self) -> float | None:
        """Since when one does, the one that has for longest; None while none does."""
        return min(self._refusing_since.values(), default=None)

    def refused(self, routing_key: str, now: float) -> None:
        """An event was refused."""
        self._refused_at[routing_key] = now
        self._refusing_since.setdefault(routing_key, now)

    def accepted(self, routing_key: str) -> None:
        """An event was taken."""
        if self._refusing_since:
            self._refused_at.pop(routing_key, None)
            self._refusing_since.pop(routing_key, None)

    def forget(self) -> None:
        """The connection on which they refused is gone."""
        self._refused_at.clear()
        self._refusing_since.clear()

    def _turn(self) -> tuple[str, str]:
        target = self._targets[self._next]
        self._next = (self._next + 1) % len(self._targets)
        return target

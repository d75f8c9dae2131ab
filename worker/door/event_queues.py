"""The queues that a door puts events on, in turn. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

REST_SECONDS: Final = 1.0
"""A queue that refused an event is left out for so long, unless all have: one that is full costs
one webhook a second, which comes again, and not its share of all."""
SILENT_SECONDS: Final = 2.0
"""A queue that has confirmed nothing for so long, while others have, counts as silent."""
SILENT_REST_SECONDS: Final = 30.0
"""A silent queue is left out for so long, and then has one event: whoever sent it waits in vain. A
late confirm ends that at once."""


class EventQueues:
    """The event queues of a door; `targets` are exchange and routing key of each. Times are seconds
    of one clock.
    """

    def __init__(self, targets: Sequence[tuple[str, str]]) -> None:
        self._targets = targets
        self._next = 0
        self._rests_until: dict[str, float] = {}
        self._refusing_since: dict[str, float] = {}
        self._silent: set[str] = set()
        self._answered_at: dict[str, float] = {}

    def next(self, now: float) -> tuple[str, str]:
        """Exchange and routing key of the queue whose turn it is."""
        for _ in self._targets:
            target = self._turn()
            if now >= self._rests_until.get(target[1], now):
                if target[1] in self._silent:
                    self._rests_until[target[1]] = now + SILENT_REST_SECONDS
                return target
        return self._turn()

    @property
    def has_silent(self) -> bool:
        """Whether an event queue confirms nothing while others do."""
        return bool(self._silent)

    @property
    def note(self) -> str:
        """What operators should look at; "" for nothing. That no event queue takes any event is no
        more than that: a door that had no webhooks for it would never find out that one does again.
        """
        if len(self._refusing_since) == len(self._targets):
            return "the queue takes no event: it is full, or not there"
        notes = []
        if self._refusing_since:
            refusing = ", ".join(self._refusing_since)
            notes.append(f"no event is taken by {refusing}: it is full, or not there")
        if self._silent:
            notes.append(f"no event is confirmed by {', '.join(sorted(self._silent))}")
        return f"{'; '.join(notes)}, and others have its turns" if notes else ""

    @property
    def refusing_since(self) -> float | None:
        """Since when an event queue refuses, the one that has for longest; None while none does."""
        return min(self._refusing_since.values(), default=None)

    def refused(self, routing_key: str, now: float) -> None:
        """An event queue has refused an event."""
        self._answered_at[routing_key] = now
        self._silent.discard(routing_key)
        self._rests_until[routing_key] = now + REST_SECONDS
        self._refusing_since.setdefault(routing_key, now)

    def accepted(self, routing_key: str, now: float) -> None:
        """An event queue has taken an event."""
        self._answered_at[routing_key] = now
        if self._rests_until:
            self._rests_until.pop(routing_key, None)
            self._refusing_since.pop(routing_key, None)
            self._silent.discard(routing_key)

    def silent_for(self, unanswered: Mapping[str, float], now: float) -> float:
        """For how many seconds the broker has said nothing, where that is not for single queues to
        answer for; those are left out from now on. `unanswered` tells by routing key when the
        oldest event was sent of which nothing is known.
        """
        longest = 0.0
        for routing_key, sent_at in unanswered.items():
            seconds = now - sent_at
            others = (at for one, at in self._answered_at.items() if one != routing_key)
            if max(others, default=sent_at) <= sent_at:
                longest = max(longest, seconds)
            elif seconds >= SILENT_SECONDS and routing_key not in self._silent:
                self._silent.add(routing_key)
                self._rests_until[routing_key] = now + SILENT_REST_SECONDS
        return longest

    def renewed(self, now: float) -> None:
        """Another connection is in use: event queues that refused may take events on it."""
        for routing_key in self._refusing_since:
            self._refusing_since[routing_key] = self._rests_until[routing_key] = now

    def forget(self) -> None:
        """The connection on which event queues refused is gone."""
        self._rests_until.clear()
        self._refusing_since.clear()
        self._silent.clear()
        self._answered_at.clear()

    def _turn(self) -> tuple[str, str]:
        target = self._targets[self._next]
        self._next = (self._next + 1) % len(self._targets)
        return target

"""Events whose successor is being published: they take up room until the broker has confirmed it.

So a failing customer can't fill the prefetch while the broker confirms nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from worker.delivery.delivery import Delivery
from worker.delivery.lanes.begun_events import Begun


class Confirming:
    """Those of the lane of an integration; `clock` gives seconds."""

    def __init__(self, integration_id: str, begun: Begun, clock: Callable[[], float]) -> None:
        self._integration_id = integration_id
        self._begun = begun
        self._clock = clock
        self.since: dict[Delivery, float] = {}
        """When each was published, the one first that waits longest."""

    def add(self, delivery: Delivery, due_at: float | None = None) -> Callable[[], None]:
        """The successor of `delivery` is being published; call what is returned when the broker has
        confirmed it. A retry is in the delay until `due_at`.
        """
        if delivery.message.is_ours:  # or nothing of it will ever be confirmed
            self.since[delivery] = self._clock()

        def confirmed() -> None:
            self.since.pop(delivery, None)
            if due_at is not None and not delivery.is_through:
                self._begun.add(self._integration_id, due_at)
                delivery.due_at = due_at
            delivery.message.done()

        return confirmed

    def accepted_late(self, delivery: Delivery) -> None:
        """One that was handed over is accepted after all: its successor has only to come back, and
        keeps no other event from being begun.
        """
        delivery.is_through = True
        if delivery.due_at is not None:
            self._begun.drop(self._integration_id, delivery.due_at)

    def drop_returned(self) -> None:
        """Let go of what the broker has again."""
        for delivery in [one for one in self.since if not one.message.is_ours]:
            del self.since[delivery]

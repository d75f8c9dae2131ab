"""What becomes of an event when the worker itself fails at its end: it is a dead letter, so that it
neither is lost nor stays in hand, and others have their end all the same.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from worker.delivery.conclusions import after_attempt
from worker.delivery.delivery import Delivery
from worker.delivery.lanes.lane import Lane
from worker.delivery.outcome import Dead, Failure
from worker.delivery.two_clocks import Moment
from worker.delivery.untried_endings import UntriedEndings
from worker.reasons import DeadReason

log = structlog.get_logger(__name__)


class Faults:
    """Ends deliveries that a fault of ours has left without an end. None of it raises."""

    def __init__(self, untried: UntriedEndings, now: Callable[[], Moment]) -> None:
        self._untried = untried
        self._now = now

    def end_safely(
        self, end: Callable[[Lane, Delivery], None], lane: Lane, delivery: Delivery
    ) -> None:
        """`end` one of several deliveries that a lane has let go of."""
        try:
            end(lane, delivery)
        except Exception as error:
            self.bury(lane, delivery, error)

    def bury(self, lane: Lane, delivery: Delivery, error: Exception) -> None:
        """Make a delivery a dead letter, unless a successor is under way already. Its receipt says
        nothing of the choice, which may be what the fault is about. To be called while `error` is
        handled.
        """
        self.note(lane, delivery)
        if delivery.is_handed_over:
            return
        state = after_attempt(delivery, self._now()) if delivery.was_sent else delivery.state
        failure = Failure(DeadReason.UNEXPECTED_ERROR, type(error).__name__)
        dead = Dead(DeadReason.UNEXPECTED_ERROR, failure)
        message, event_id, facts = delivery.message, delivery.choice.event_id, delivery.facts
        try:
            self._untried.end(
                message, delivery.integration.id, state, dead, event_id, facts, delivery.began
            )
        except Exception:  # it stays in hand, until the broker gives it out again
            self.note(lane, delivery)

    @staticmethod
    def note(lane: Lane, delivery: Delivery) -> None:
        """Log a fault with a delivery while it is handled. A successor to follow does not."""
        log.exception("lane.unexpected_error", integration=delivery.integration.id)
        if not delivery.is_handed_over:
            lane.confirming.since.pop(delivery, None)

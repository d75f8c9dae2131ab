"""How deliveries end that are in no request: before a lane has them, or because it lets them go."""

from __future__ import annotations

import time

import structlog

from worker.broker.delay import by_few_levels
from worker.broker.message import Incoming
from worker.broker.retry_state import RetryState
from worker.delivery.delivery import Delivery
from worker.delivery.lanes.lane import Lane
from worker.delivery.outcome import Dead, Observer, Outcome, Parked, Skipped
from worker.delivery.park_delays import STOPPING_SECONDS, hold_seconds
from worker.delivery.receipt_facts import EventFacts
from worker.delivery.receipting import Done, Receipting
from worker.delivery.successors import Successors, state_after
from worker.reasons import ParkReason

log = structlog.get_logger(__name__)


class UntriedEndings:
    """Tells of the outcomes of deliveries in no request, and publishes what follows."""

    def __init__(self, successors: Successors, observer: Observer, receipting: Receipting) -> None:
        self._successors = successors
        self._observer = observer
        self._receipting = receipting

    def end(
        self,
        message: Incoming,
        integration_id: str | None,
        state: RetryState,
        outcome: Outcome,
        event_id: str,
        facts: EventFacts | None,
        began: float | None = None,
    ) -> None:
        """End a delivery; `began` in monotonic seconds, None is now. Where a fault of ours keeps
        its outcome from being told, it ends all the same; without a receipt if that can't be made,
        which the counts of the worker tell.
        """
        done: Done = message.done
        try:
            self._tell(integration_id, state, outcome, event_id, began)
        except Exception as error:
            log.exception("message.unexpected_error", error=type(error).__name__)
        try:
            done = self._receipting.untried(message, facts, integration_id, state, outcome)
        except Exception as error:
            log.exception("message.unexpected_error", error=type(error).__name__)
        if isinstance(outcome, Skipped):
            done()
        else:
            after = state_after(state, outcome, integration_id)
            config = self._receipting.config_of(integration_id) if type(outcome) is Dead else ""
            self._successors.follow(message, after, outcome, done, config)

    def _tell(
        self,
        integration_id: str | None,
        state: RetryState,
        outcome: Outcome,
        event_id: str,
        began: float | None,
    ) -> None:
        if isinstance(outcome, Skipped) and state.is_repeat:
            self._observer.repeat_ended(integration_id or "", event_id, outcome.reason, 0.0)
        else:
            seconds = time.monotonic() - began if began is not None else 0.0
            self._observer.outcome(integration_id or "", outcome, seconds, event_id)

    def give_up(self, lane: Lane, delivery: Delivery) -> None:
        """Park a delivery that a lane has to let go of."""
        event_id, facts = delivery.choice.event_id, delivery.facts
        self.park_for_room(lane, delivery.message, delivery.state, event_id, facts, delivery.began)

    def park_for_room(
        self,
        lane: Lane,
        message: Incoming,
        state: RetryState,
        event_id: str,
        facts: EventFacts | None,
        began: float | None = None,
    ) -> None:
        """Park an event for which the lane has no room."""
        outcome = Parked(
            by_few_levels(lane.health.throughput.seconds_until_room(1)), ParkReason.LANE_FULL
        )
        self.end(message, lane.integration.id, state, outcome, event_id, facts, began)

    def park_for_stop(self, lane: Lane, delivery: Delivery) -> None:
        """The worker stops while the event waits: another one is to have it."""
        message, state, event_id = delivery.message, delivery.state, delivery.choice.event_id
        outcome = Parked(STOPPING_SECONDS, ParkReason.STOPPING)
        facts, began = delivery.facts, delivery.began
        self.end(message, lane.integration.id, state, outcome, event_id, facts, began)

    def park_for_pause(self, lane: Lane, delivery: Delivery) -> None:
        """An operator has paused the integration while the event waited."""
        message, state, event_id = delivery.message, delivery.state, delivery.choice.event_id
        outcome = Parked(hold_seconds(state.parks), ParkReason.PAUSED)
        self.end(message, lane.integration.id, state, outcome, event_id, delivery.facts)

"""Tells metrics and the log of every outcome."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final

import structlog

from worker.adobe.replies import Accepted
from worker.delivery.delivery import Delivery
from worker.delivery.outcome import (
    Dead,
    Failure,
    Outcome,
    Parked,
    RepeatEnd,
    Retried,
    ReturnKind,
)
from worker.observability.metrics import Metrics
from worker.observability.outcome_names import describe
from worker.reasons import NO_INTEGRATION, ParkReason
from worker.redaction import shown_id

log = structlog.get_logger(__name__)

_QUIET: Final = frozenset({"parked", "skipped"})
"""Outcomes of an event that are normal."""


class OutcomeLog:
    """Counts every outcome. What went well is logged by request, and by event at the level debug;
    what went wrong, by event.

    A retry header may name any integration, so only an id that `is_known` is written down: another
    one could be personal data, and a metric with it would never end. It is told like no integration
    at all. The same holds for an event's id, which a producer could fill with anything: only one of
    an id's shape is logged.
    """

    def __init__(self, metrics: Metrics, is_known: Callable[[str], bool]) -> None:
        self._metrics = metrics
        self._is_known = is_known
        self._log = log.bind()  # once, since binding costs as much as a line
        self._is_verbose = logging.getLogger().isEnabledFor(logging.DEBUG)

    def outcome(self, integration_id: str, outcome: Outcome, seconds: float, event_id: str) -> None:
        """Told of an outcome; `seconds` is how long the delivery took in this worker."""
        integration_id = self._named(integration_id)
        kind, reason = describe(outcome)
        self._metrics.count(integration_id, kind, reason, seconds)
        if not self._is_verbose and kind in _QUIET:
            return
        fields: dict[str, Any] = {
            "integration": integration_id,
            "event_id": shown_id(event_id),
            "reason": reason,
            "seconds": round(seconds, 4),
        }
        match outcome:
            case Retried(delay, failure):
                self._log.warning(
                    "delivery.retried",
                    delay_seconds=round(delay, 3),
                    detail=failure.detail,
                    **fields,
                )
            case Dead(_, failure):
                self._log.error(
                    "delivery.dead", error=failure.error, detail=failure.detail, **fields
                )
            case Parked(delay):
                self._log.debug("delivery.parked", delay_seconds=round(delay, 3), **fields)
            case _:
                self._log.debug(f"delivery.{kind}", **fields)

    def delivered(self, integration_id: str, accepted: list[tuple[Delivery, Accepted]]) -> None:
        """Told by the pipeline of what Adobe accepted in one request."""
        now = time.monotonic()
        seconds = [now - delivery.began for delivery, _ in accepted]
        self._metrics.count_delivered(integration_id, seconds)
        self._metrics.acceptance.count([delivery for delivery, _ in accepted], time.time())
        self._log.info(
            "request.accepted",
            integration=integration_id,
            events=len(accepted),
            xaction_id=accepted[0][1].xaction_id,
            seconds=round(seconds[0], 4),
        )
        if self._is_verbose:
            for (delivery, reply), took in zip(accepted, seconds, strict=True):
                self._log.debug(
                    "delivery.delivered",
                    integration=integration_id,
                    event_id=shown_id(delivery.choice.event_id),
                    xaction_id=reply.xaction_id,
                    seconds=round(took, 4),
                )

    def accepted_late(self, integration_id: str, accepted: list[tuple[Delivery, Accepted]]) -> None:
        """Told of events that were handed over before Adobe accepted them: the outcome is told with
        their copies, see `delivered_late`.
        """
        now = time.monotonic()
        self._metrics.acceptance.count([delivery for delivery, _ in accepted], time.time())
        self._log.info(
            "request.accepted_late",
            integration=integration_id,
            events=len(accepted),
            xaction_id=accepted[0][1].xaction_id,
            seconds=round(now - accepted[0][0].began, 4),
        )
        if self._is_verbose:
            for delivery, reply in accepted:
                self._log.debug(
                    "delivery.accepted_late",
                    integration=integration_id,
                    event_id=shown_id(delivery.choice.event_id),
                    xaction_id=reply.xaction_id,
                    seconds=round(now - delivery.began, 4),
                )

    def delivered_late(self, integration_id: str, delivery: Delivery) -> None:
        """Told of the copy of an event that Adobe had accepted after it was handed over."""
        seconds = time.monotonic() - delivery.began
        self._metrics.count_delivered(integration_id, [seconds])
        if self._is_verbose:
            self._log.debug(
                "delivery.delivered",
                integration=integration_id,
                event_id=shown_id(delivery.choice.event_id),
                xaction_id=None,
                seconds=round(seconds, 4),
            )

    def repeat_planned(self, integration_id: str, event_id: str, delay_seconds: float) -> None:
        """Told of an accepted event that is sent again, when no older choice can be carried out
        any more.
        """
        self._metrics.count_planned_repeat(integration_id)
        self._log.info(
            "repeat.planned",
            integration=integration_id,
            event_id=shown_id(event_id),
            delay_seconds=round(delay_seconds, 3),
        )

    def repeat_ended(
        self, integration_id: str, event_id: str, end: RepeatEnd, seconds: float
    ) -> None:
        """Told of the end of a repeat, which is no outcome: the event has had its own."""
        self._metrics.count_ended_repeat(end)
        self._log.info(
            "repeat.ended",
            integration=integration_id,
            event_id=shown_id(event_id),
            result=end,
            seconds=round(seconds, 4),
        )

    def parked_again(self, integration_id: str, reason: ParkReason, events: int) -> None:
        """A bundle of parked events is parked once more, unopened."""
        integration_id = self._named(integration_id)
        self._metrics.count_parked_again(integration_id, reason, events)
        if self._is_verbose:
            self._log.debug(
                "bundle.parked", integration=integration_id, reason=reason, events=events
            )

    def came_back(self, kind: ReturnKind, late_seconds: float) -> None:
        """A message that waited in the delay is handed out, so much later than asked for."""
        self._metrics.count_lateness(kind, late_seconds)

    def blocked(self, integration_id: str, failure: Failure) -> None:
        """An integration is blocked: a person must mend its set-up."""
        self._log.error(
            "integration.blocked",
            integration=integration_id,
            error=failure.error,
            detail=failure.detail,
            remedy="mend the configuration or the rights at Adobe; it goes on by itself",
        )

    def unblocked(self, integration_id: str) -> None:
        """An integration that was blocked works again."""
        self._log.info("integration.unblocked", integration=integration_id)

    def _named(self, integration_id: str) -> str:
        return integration_id if self._is_known(integration_id) else NO_INTEGRATION

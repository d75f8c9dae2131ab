"""Prometheus metrics of a worker. Labels: ids of integrations, reasons and queues, never people.

Every series is there from the start, or from the load of its integration on, with the value 0. What
becomes of events is counted where it happens; `Gauges` are set when somebody scrapes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, get_args

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector

from worker.delivery.outcome import ReturnKind
from worker.observability.acceptance import AcceptanceMetrics
from worker.observability.gauges import Gauges
from worker.observability.histograms import Histogram
from worker.observability.outcome_names import DELIVERED, REASONS
from worker.observability.series import Counts, CountsByIntegration
from worker.reasons import NO_INTEGRATION, SkipReason

_DELIVERY_SECONDS: Final = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LATENESS_SECONDS: Final = (0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 3600)
_PLANNED: Final = "planned"
_REPEAT_RESULTS: Final = (_PLANNED, "repeated", *(one.value for one in SkipReason))


class Metrics:
    """All metrics of one worker process, in a registry of their own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self._outcomes = Counts(
            "consent_outcomes_total",
            "Outcomes of deliveries; reason is the skip, park, dead or error code.",
            ["outcome", "reason"],
            [(outcome, reason) for outcome, reasons in REASONS.items() for reason in reasons],
            registry,
        )
        self._integration_outcomes = CountsByIntegration(
            "consent_integration_outcomes_total",
            "Outcomes of deliveries by integration.",
            registry,
            "outcome",
            tuple(REASONS),
        )
        self._seconds = Histogram(
            "consent_delivery_seconds",
            "Seconds from taking a delivery up to its outcome, by outcome.",
            _DELIVERY_SECONDS,
            registry,
            "outcome",
            tuple(REASONS),
        )
        self.acceptance = AcceptanceMetrics(registry)
        self._repeats = Counts(
            "consent_repeats_total",
            "Accepted events that are sent again, since an older choice may be carried out late: "
            "planned, and how they ended.",
            ["result"],
            [(result,) for result in _REPEAT_RESULTS],
            registry,
        )
        self._integration_repeats = CountsByIntegration(
            "consent_integration_repeats_total",
            "Accepted events that are planned to be sent again, by integration.",
            registry,
        )
        self._lateness = Histogram(
            "consent_lateness_seconds",
            "Seconds that what waited in the delay came back late, by kind: retry or parked.",
            _LATENESS_SECONDS,
            registry,
            "kind",
            get_args(ReturnKind),
        )
        self.gauges = Gauges(registry)
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        self.know([])

    def know(self, integration_ids: Iterable[str]) -> None:
        """These integrations have files from now on, and no others."""
        ids = [NO_INTEGRATION, *integration_ids]
        self._integration_outcomes.know(ids)
        self._integration_repeats.know(ids)

    def count_delivered(self, integration_id: str, seconds: list[float]) -> None:
        """Count deliveries that Adobe accepted; each took one of `seconds`."""
        self._count(integration_id, DELIVERED, "", len(seconds))
        self._seconds.observe(seconds, DELIVERED)

    def count(self, integration_id: str, kind: str, reason: str, seconds: float) -> None:
        """Count one outcome, see `describe`, that took `seconds`."""
        self._count(integration_id, kind, reason, 1)
        self._seconds.observe((seconds,), kind)

    def count_parked_again(self, integration_id: str, reason: str, events: int) -> None:
        """Count events that were parked once more, undecided."""
        self._count(integration_id, "parked", reason, events)

    def count_lateness(self, kind: ReturnKind, seconds: float) -> None:
        """Count a message that came back from the delay so late."""
        self._lateness.observe((seconds,), kind)

    def count_planned_repeat(self, integration_id: str) -> None:
        """Count an accepted event that is to be sent again."""
        self._repeats.add((_PLANNED,))
        if not self._integration_repeats.add(integration_id):
            self._integration_repeats.add(NO_INTEGRATION)

    def count_ended_repeat(self, result: str) -> None:
        """Count how the repeat of an accepted event ended."""
        self._repeats.add((result,))

    def _count(self, integration_id: str, kind: str, reason: str, events: int) -> None:
        self._outcomes.add((kind, reason), events)
        if not self._integration_outcomes.add(integration_id, kind, events):
            self._integration_outcomes.add(NO_INTEGRATION, kind, events)

"""Prometheus metrics. Labels are ids of integrations, reasons and queues, never people.

The client's own histogram of durations costs some 150 steps of the interpreter for each value,
which it locks and checks; this counts the values of a whole request at once, in the one thread of
the loop.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from worker.delivery.outcome import Dead, Outcome, Parked, Retried, ReturnKind, Skipped


class Durations(Collector):
    """A histogram in `registry` with the upper `bounds` of its buckets, in seconds, rising."""

    def __init__(
        self,
        name: str,
        text: str,
        label: str,
        bounds: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name, self._text, self._label = name, text, label
        self._bounds = tuple(map(float, bounds))
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}
        registry.register(self)

    def observe(self, value: str, seconds: Sequence[float]) -> None:
        """Count each of `seconds` under this `value` of the label."""
        counts = self._counts.get(value)
        if counts is None:
            counts = self._counts[value] = [0] * (len(self._bounds) + 1)
            self._sums[value] = 0.0
        bounds = self._bounds
        for one in seconds:
            counts[bisect_left(bounds, one)] += 1
        self._sums[value] += sum(seconds)

    def describe(self) -> list[HistogramMetricFamily]:
        """What it will collect, without values."""
        return [HistogramMetricFamily(self._name, self._text, labels=[self._label])]

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """See `Collector`."""
        (family,) = self.describe()
        bounds = [*map(str, self._bounds), "+Inf"]
        for value, counts in self._counts.items():
            buckets = list(zip(bounds, map(float, accumulate(counts)), strict=True))
            family.add_metric([value], buckets, self._sums[value])
        yield family


class Metrics:
    """All metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._outcomes = Counter(
            "consent_outcomes_total",
            "Outcomes of deliveries; reason is the skip, dead or error code.",
            ["integration", "outcome", "reason"],
            registry=self.registry,
        )
        self._seconds = Durations(
            "consent_delivery_seconds",
            "Seconds from taking a delivery up to its outcome, by outcome.",
            "outcome",
            (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            self.registry,
        )
        self._repeats = Counter(
            "consent_repeats_total",
            "Accepted events that are sent again, since an older choice may be carried out late: "
            "planned, and how they ended.",
            ["integration", "result"],
            registry=self.registry,
        )
        self._lateness = Durations(
            "consent_lateness_seconds",
            "Seconds that what waited in the delay came back late, by kind: retry or parked.",
            "kind",
            (0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 3600),
            self.registry,
        )
        # Kept at hand, since finding them by their labels costs more than counting.
        self._counted: dict[tuple[str, str, str], Counter] = {}
        self.queue_messages = Gauge(
            "consent_queue_messages",
            "Messages ready in a queue, as last seen by this worker.",
            ["queue"],
            registry=self.registry,
        )
        self.lane_held = self._gauge_by_integration(
            "consent_lane_held_events", "Events that an integration holds of this worker."
        )
        self.lane_window = self._gauge_by_integration(
            "consent_lane_requests_allowed", "Requests an integration may have in flight now."
        )
        self.lane_blocked = self._gauge_by_integration(
            "consent_lane_blocked", "1 while an integration is blocked for a fault of its set-up."
        )
        self.integrations = Gauge(
            "consent_integrations",
            "Integrations by state, and integration files that are not valid.",
            ["state"],
            registry=self.registry,
        )
        self.ordering_available = Gauge(
            "consent_ordering_available",
            "1 while the state of newest-wins can be used.",
            registry=self.registry,
        )
        self.state_lost = Gauge(
            "consent_ordering_state_lost",
            "1 while a loss of the state of newest-wins is not accepted by an operator.",
            registry=self.registry,
        )
        self.unreadable_values = Gauge(
            "consent_ordering_unreadable_values",
            "Values of the state of newest-wins that could not be read since the start.",
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "consent_messages_in_flight",
            "Messages in hand of this worker.",
            registry=self.registry,
        )
        self.refused = Gauge(
            "consent_messages_refused",
            "Messages rejected unread since the start, mostly too large; the broker buries them.",
            registry=self.registry,
        )
        self.reconnects = Gauge(
            "consent_broker_reconnects",
            "Times this worker had to open a new session with the broker.",
            registry=self.registry,
        )

    def count_delivered(self, integration_id: str, seconds: list[float]) -> None:
        """Count deliveries that Adobe accepted; each took one of `seconds`."""
        self._counted_by(integration_id, "delivered", "").inc(len(seconds))
        self._seconds.observe("delivered", seconds)

    def count_parked_again(self, integration_id: str, reason: str, events: int) -> None:
        """Count events that were parked once more, undecided."""
        self._counted_by(integration_id or "none", "parked", reason).inc(events)

    def count_lateness(self, kind: ReturnKind, seconds: float) -> None:
        """Count a message that came back from the delay so late."""
        self._lateness.observe(kind, [seconds])

    def count_repeat(self, integration_id: str, result: str) -> None:
        """Count a repeat that is `planned`, or how it ended."""
        self._repeats.labels(integration_id, result).inc()

    def forget_lanes(self) -> None:
        """Before all lanes that there are tell theirs anew."""
        for gauge in (self.lane_held, self.lane_window, self.lane_blocked):
            gauge.clear()

    def _gauge_by_integration(self, name: str, documentation: str) -> Gauge:
        return Gauge(name, documentation, ["integration"], registry=self.registry)

    def count(self, integration_id: str, kind: str, reason: str, seconds: float) -> None:
        """Count one outcome, see `describe`, that took `seconds`."""
        self._counted_by(integration_id or "none", kind, reason).inc()
        self._seconds.observe(kind, [seconds])

    def _counted_by(self, integration_id: str, kind: str, reason: str) -> Counter:
        labels = (integration_id, kind, reason)
        found = self._counted.get(labels)
        if found is None:
            found = self._counted[labels] = self._outcomes.labels(*labels)
        return found


def describe(outcome: Outcome) -> tuple[str, str]:
    """The outcome's name and its reason, as metrics and logs call them."""
    match outcome:
        case Skipped(reason):
            return "skipped", reason
        case Retried(_, failure):
            return "retried", failure.error
        case Parked(_, reason):
            return "parked", reason
        case Dead(reason):
            return "dead", reason

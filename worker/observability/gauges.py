"""What is told of the worker's parts when somebody scrapes: gauges, and counters that are kept
elsewhere.
"""

from __future__ import annotations

import platform
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Gauge

from worker.adobe.reply_counts import STATUS_CLASSES
from worker.observability.series import AskedByIntegration, Counts


class Gauges:
    """The gauges of a worker, in `registry`. Those by integration are asked for while written."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        def counter(name: str, text: str) -> Counts:
            return Counts(name, text, (), [()], registry)

        def by_integration(name: str, text: str) -> AskedByIntegration:
            return AskedByIntegration(name, text, registry)

        self.ready = gauge("consent_ready", "1 while the worker can do its job, as /readyz says.")
        self.in_flight = gauge("consent_messages_in_flight", "Messages in hand of this worker.")
        self.oldest_event = gauge(
            "consent_oldest_event_seconds",
            "Seconds since the oldest choice in hand of this worker was made; 0 without any.",
        )
        self.oldest_withdrawal = gauge(
            "consent_oldest_withdrawal_seconds",
            "Seconds since the oldest withdrawal in hand that Adobe has not accepted; 0 without.",
        )
        self.queue_messages = gauge(
            "consent_queue_messages",
            "Messages ready in a queue, as last seen by this worker.",
            ("queue",),
        )
        self.lane_held = by_integration(
            "consent_lane_held_events", "Events that an integration holds of this worker."
        )
        self.lane_window = by_integration(
            "consent_lane_requests_allowed", "Requests an integration may have in flight now."
        )
        self.lane_blocked = by_integration(
            "consent_lane_blocked", "1 while an integration is blocked for a fault of its set-up."
        )
        self.token_seconds = by_integration(
            "consent_token_expires_in_seconds",
            "Seconds that the access token in hand of an integration still lives.",
        )
        self.integrations = gauge(
            "consent_integrations",
            "Integrations by state, and integration files that are not valid.",
            ("state",),
        )
        self.configuration = gauge(
            "consent_configuration_info",
            "1 for the version of all integrations in force; equal where they are the same.",
            ("version",),
        )
        self.ordering_available = gauge(
            "consent_ordering_available", "1 while all of the state of newest-wins can be used."
        )
        self.state_lost = gauge(
            "consent_ordering_state_lost",
            "1 while a loss of the state of newest-wins is not accepted by an operator.",
        )
        self.unreadable_values = counter(
            "consent_ordering_unreadable_values_total",
            "Values of the state of newest-wins that could not be read.",
        )
        self.refused = counter(
            "consent_messages_refused_total",
            "Messages rejected unread, mostly too large; the broker makes dead letters of them.",
        )
        self.reconnects = counter(
            "consent_broker_reconnects_total",
            "Times this worker had to open a new session with the broker.",
        )
        self.delayed_requests = counter(
            "consent_delayed_requests_total",
            "Requests that waited for company because the worker was busy.",
        )
        self.delayed_request_seconds = counter(
            "consent_delayed_request_seconds_total",
            "Seconds for which they waited at most.",
        )
        self.replies = Counts(
            "consent_adobe_replies_total",
            "Replies of Adobe by class of HTTP status; none where no reply came.",
            ["status_class"],
            [(one,) for one in STATUS_CLASSES],
            registry,
        )
        build = gauge("consent_build_info", "1 for this version.", ("version", "python"))
        build.labels(version("consent-worker"), platform.python_version()).set(1)

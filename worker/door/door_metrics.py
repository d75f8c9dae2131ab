"""Metrics of a door. Labels are answers and kinds of events, never people or addresses."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, GCCollector, ProcessCollector

from worker.door.answers import AnswerCode
from worker.events import EVENT_KINDS
from worker.observability.histograms import Histogram
from worker.observability.series import Counts

_SECONDS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_CONFIRMED: Final = ("in-time", "late")


class DoorMetrics:
    """All metrics of one door, in a registry of their own. Every series is there from the start."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self._answers = Counts(
            "consent_door_answers_total",
            "Answers of the door, by code.",
            ["answer"],
            [(one.value,) for one in AnswerCode],
            registry,
        )
        self._events = Counts(
            "consent_door_events_total",
            "Events that RabbitMQ has confirmed, by kind.",
            ["kind"],
            [(kind,) for kind in sorted(EVENT_KINDS)],
            registry,
        )
        self._confirmed = Counts(
            "consent_door_confirms_total",
            "Confirms of RabbitMQ: in time, or after Didomi was told to send the event again.",
            ["when"],
            [(one,) for one in _CONFIRMED],
            registry,
        )
        self._seconds = Histogram(
            "consent_door_answer_seconds",
            "Seconds from the first byte of a request to its answer.",
            _SECONDS,
            registry,
        )
        self.ready = Gauge(
            "consent_door_ready",
            "1 while the door can do its job, as /readyz says.",
            registry=registry,
        )
        self.in_hand = Gauge(
            "consent_door_events_in_hand",
            "Events that were sent to RabbitMQ, and are not confirmed or not on record.",
            registry=registry,
        )
        self.connections = Gauge(
            "consent_door_connections", "Connections that are open now.", registry=registry
        )
        build = Gauge(
            "consent_build_info", "1 for this version.", ("version", "python"), registry=registry
        )
        build.labels(version("consent-worker"), platform.python_version()).set(1)
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)

    def count_answer(self, code: AnswerCode, seconds: float) -> None:
        """A request was answered after so many seconds."""
        self._answers.add((code.value,))
        self._seconds.observe((seconds,))

    def count_confirmed(self, kind: str, is_late: bool) -> None:
        """RabbitMQ has confirmed an event of that kind."""
        self._events.add((kind,))
        self._confirmed.add((_CONFIRMED[is_late],))

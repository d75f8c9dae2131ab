"""Planted secrets and personal data come out nowhere, whatever place they are put into.

The tests here plant the marker somewhere and read all that an operator could: errors, log lines
in their real configuration, metrics.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client import generate_latest

from worker.delivery.outcome import Outcome
from worker.observability.logging import configure_logging
from worker.observability.metrics import Metrics
from worker.observability.outcome_log import OutcomeLog

MARKER = "PLANTED"
EMAIL = f"{MARKER}@northwind.example"

Place = tuple[str | int, ...]
Observe = Callable[[str, Outcome], str]


def places(node: Any, at: Place = ()) -> Iterator[Place]:
    """The path of every value of a document."""
    for key, one in node.items() if isinstance(node, dict) else enumerate(node):
        yield (*at, key)
        if isinstance(one, (dict, list)):
            yield from places(one, (*at, key))


def put(document: Any, place: Place, value: Any) -> None:
    """Put `value` there."""
    for step in place[:-1]:
        document = document[step]
    document[place[-1]] = value


@pytest.fixture
def written() -> io.StringIO:
    """Everything that is logged, by our code and by libraries, from debug on."""
    stream = io.StringIO()
    configure_logging("json", "debug", stream)
    return stream


@pytest.fixture
def observe(written: io.StringIO) -> Observe:
    """All that is to be seen of an outcome: its log lines, its metrics, itself."""

    def seen(integration_id: str, outcome: Outcome) -> str:
        metrics = Metrics()
        told = OutcomeLog(metrics, lambda known: known == "shop")
        told.outcome(integration_id, outcome, 0.1, EMAIL)
        assert "delivery." in written.getvalue()
        return written.getvalue() + generate_latest(metrics.registry).decode() + repr(outcome)

    return seen

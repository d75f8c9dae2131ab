"""What is said of mappings that are valid and never send anything."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.examples import NOW_MS, integration, snapshot
from worker.integrations.model import Integration
from worker.transform.decide import decide
from worker.transform.decision_types import Deliver

NEWS = "consents_purposes_news_enabled"
OF_EVENTS = (
    *("domain", "status", "event_id", "event_metadata_form"),
    *("delegate_id", "delegate_name", "delegate_metadata_desk"),
)
OF_BOTH = ("created_at", "updated_at", "regulation", "country", "metadata_tier", "consents_tcfcs")


def _target(*mappings: dict[str, Any], events: str = "user") -> Integration:
    absent = {"absent": False} if events == "user" else {}
    news = {"id": "news", "value": NEWS} | absent
    return integration(mappings=[news, *mappings], events=events)


@pytest.mark.parametrize("value", OF_EVENTS)
def test_a_fact_that_no_snapshot_has_is_warned_of(value: str) -> None:
    mapping = {"id": "x", "value": value}
    warnings = _target(mapping, {"id": "y", "value": value}).warnings
    assert warnings == [
        'mappings.2.value: never has anything with events "user" (also mapping 3): a snapshot has '
        "of these facts only created_at, updated_at and regulation; take it out"
    ]
    assert _target(mapping, events="event").warnings == []
    entity: dict[str, Any] = {
        "domain": "prefs.northwind.example",
        "status": "confirmed",
        "delegate": {"id": "agent-17", "name": "Call centre", "metadata": {"desk": "B"}},
        "metadata": {"form": "footer"},
    }
    decision = decide(_target(mapping), snapshot(**entity), NOW_MS)
    assert isinstance(decision, Deliver)
    assert decision.attributes == {"news": True}, "it is never sent"


@pytest.mark.parametrize("value", OF_BOTH)
def test_what_a_snapshot_has_is_not_warned_of(value: str) -> None:
    more = {"absent": "none"} if value == "consents_tcfcs" else {}
    assert _target({"id": "x", "value": value} | more).warnings == []


@pytest.mark.parametrize("events", ["event", "user"])
def test_mappings_that_only_go_along_are_warned_of(events: str) -> None:
    along = [{"id": "source", "constant": "didomi"}, {"id": "time", "value": "created_at"}]
    warnings = integration(mappings=along, events=events).warnings
    assert [one.partition(";")[0] for one in warnings] == [
        "mappings: nothing is ever sent: all entries are constants or facts of the event, which "
        "only go along with a choice"
    ]
    more = [*along, {"id": "country", "value": "country"}]
    assert integration(mappings=more, events=events).warnings == []

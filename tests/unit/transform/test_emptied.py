"""A preference of which nothing is selected any more is a choice; other empty values are none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.examples import NOW_MS, envelope, integration
from worker.integrations.model import Integration
from worker.ordering.newest_fold import fold, stamps_of
from worker.reasons import SkipReason
from worker.transform.decide import decide
from worker.transform.decision_types import Decision, Deliver, Skip
from worker.transform.format_rendering import EMPTIED, as_json, is_refusal
from worker.transform.xdm_message import build_record

NEWS = "consents_purposes_news_enabled"
TOPICS = "consents_purposes_news_values_topics_value"


def _decide(*mappings: dict[str, Any], topics: object = "", **event: Any) -> Decision:
    values = {"topics": {"value": topics}} if topics != "absent" else {}
    consents = {"purposes": [{"id": "news", "enabled": None, "values": values}]}
    target = integration(mappings=list(mappings))
    return decide(target, envelope(consents=consents, **event), NOW_MS)


def _said(decision: Decision) -> dict[str, Any]:
    assert isinstance(decision, Deliver)
    return {path: as_json(value) for path, value in decision.attributes.items()}


@pytest.mark.parametrize("written", ["", " ", ",", " , ,"])
@pytest.mark.parametrize("steps", ["as-is", "list", "text", "boolean"])
def test_it_is_remembered_as_a_refusal_and_not_sent(steps: str, written: str) -> None:
    decision = _decide({"id": "x", "value": TOPICS, "format": steps}, topics=written)
    assert isinstance(decision, Deliver)
    assert decision.attributes == {"x": EMPTIED}
    assert stamps_of(decision)["x"].is_refusal
    record = build_record(integration(), decision.attributes, decision.identity, 0)
    assert record == {"personalEmail": {"address": "lena@northwind.example"}}


@pytest.mark.parametrize("topics", [None, "absent"])
def test_what_is_not_said_is_no_news(topics: object) -> None:
    assert _decide({"id": "x", "value": TOPICS}, topics=topics) == Skip(SkipReason.NOTHING_MAPPED)


@pytest.mark.parametrize("empty", ["none", False, ["none"], {"val": "n"}, 0])
def test_what_empty_says_is_sent_and_counts_as_a_refusal(empty: Any) -> None:
    decision = _decide({"id": "x", "value": TOPICS, "empty": empty})
    assert _said(decision) == {"x": empty}
    assert isinstance(decision, Deliver)
    assert is_refusal(decision.attributes["x"])


def test_the_time_of_an_emptied_choice_goes_along_where_something_is_sent() -> None:
    said = {"id": "x", "value": TOPICS, "time_path": "t", "empty": "none"}
    silent = {"id": "y", "value": TOPICS, "time_path": "u"}
    inside = {"id": "z", "value": TOPICS, "format": ["boolean", "consent-val"]} | {
        "time_path": "z.time",
        "empty": {"val": "n"},
    }
    decision = _decide(said, silent, inside)
    assert isinstance(decision, Deliver)
    record = build_record(integration(), decision.attributes, decision.identity, 0)
    at = "2026-03-02T08:15:30.120Z"
    assert record["x"] == "none"
    assert record["t"] == at
    assert record["z"] == {"val": "n", "time": at}
    assert record.keys().isdisjoint({"y", "u"})


def test_an_older_choice_that_comes_late_loses_to_it() -> None:
    def choice(topics: str, at: str) -> Deliver:
        made = {"id": at, "created_at": f"2026-03-02T{at}:00Z"}
        decision = _decide({"id": "x", "value": TOPICS}, topics=topics, **made)
        assert isinstance(decision, Deliver)
        return decision

    stored = fold([choice("", "11:00")], {}).written
    assert fold([choice("bags", "10:00")], stored).attributes == {}
    assert fold([choice("bags", "11:00")], stored).attributes == {}, "the safer one in doubt"
    assert fold([choice("bags", "12:00")], stored).attributes == {"x": "bags"}


def test_of_a_choice_to_be_confirmed_it_waits() -> None:
    mapping = {"id": "x", "value": TOPICS, "pending": "p"}
    for more in ({}, {"empty": "none"}):
        assert _decide(mapping | more, status="pending_approval") == Skip(
            SkipReason.PENDING_APPROVAL
        )


@pytest.mark.parametrize("value", ["", [], {}])
def test_empty_metadata_says_nothing_unless_its_mapping_speaks_of_it(value: Any) -> None:
    user = {"organization_user_id": "lena@northwind.example", "metadata": {"topics": value}}
    news, topics = {"id": "news", "value": NEWS}, {"id": "x", "value": "metadata_topics"}
    other = {"id": "y", "value": "metadata_topics", "format": "list"}
    for more, said in (({}, {}), ({"empty": "none"}, {"x": "none"})):
        target = integration(mappings=[news, topics | more, other])
        assert _said(decide(target, envelope(user=user), NOW_MS)) == {"news": True} | said


def test_what_goes_along_is_known_to_be_no_message_of_its_own() -> None:
    source, time = {"id": "source", "constant": "didomi"}, {"id": "time", "value": "created_at"}
    decision = _decide({"id": "x", "value": TOPICS}, source, time)
    assert isinstance(decision, Deliver)
    assert decision.attributes["x"] is EMPTIED
    assert decision.attributes.keys() - {"x"} == decision.companions == {"source", "time"}


def _target(**mapping: Any) -> Integration:
    more = {"events": "user", "payload_mode": "xdm"} if mapping.pop("is_erased", False) else {}
    return integration(mappings=[{"id": "x", "value": TOPICS} | mapping], **more)


def test_who_maps_a_preference_without_empty_is_warned() -> None:
    (warning,) = _target().warnings
    assert warning.startswith("mappings.1: has no empty: ")
    for right in ({"empty": "none"}, {"format": "contains:shoes"}, {"value": NEWS}):
        assert _target(**right).warnings == []
    erased = _target(is_erased=True).warnings
    assert not [one for one in erased if "empty" in one], "a record without it erases it"

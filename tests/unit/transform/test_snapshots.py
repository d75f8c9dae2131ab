"""What a snapshot says, and what it takes back by not naming it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.examples import NOW_MS, integration, snapshot
from worker.integrations.model import Integration
from worker.reasons import SkipReason
from worker.transform.decide import decide
from worker.transform.decision_types import Decision, Deliver, Reject, Skip
from worker.transform.format_rendering import EMPTIED, Sent, as_json, is_refusal
from worker.transform.xdm_message import build_record

NEWS = "consents_purposes_news_enabled"
TOPICS = "consents_purposes_news_values_topics_value"
AT = "2026-03-02T08:15:30.120Z"


def _target(*mappings: dict[str, Any], **changes: Any) -> Integration:
    more = {"mappings": list(mappings)} if mappings else {}
    return integration(**{"events": "user", "payload_mode": "xdm"} | more | changes)


def _decide(*mappings: dict[str, Any], kind: str = "user.updated", **user: Any) -> Decision:
    return decide(_target(*mappings), snapshot(kind, **user), NOW_MS)


def _delivered(*mappings: dict[str, Any], **user: Any) -> Deliver:
    decision = _decide(*mappings, **user)
    assert isinstance(decision, Deliver)
    return decision


NO_CHOICES = [
    pytest.param({"purposes": []}, id="no purposes"),
    pytest.param({}, id="empty"),
    pytest.param(None, id="missing"),
]


@pytest.mark.parametrize("consents", NO_CHOICES)
def test_one_without_choices_speaks_too(consents: Any) -> None:
    """It is all that Didomi computes after the only event of a user was deleted."""
    choice = _delivered(consents=consents)
    assert choice.attributes == {}
    assert choice.absent == {"_acme.news": EMPTIED}
    assert choice.didomi_user == "gdpr device"
    assert choice.is_silent_if_unknown is (consents is None)


@pytest.mark.parametrize("consents", NO_CHOICES)
def test_the_first_of_a_didomi_user_has_nothing_to_take_back(consents: Any) -> None:
    """A new phone starts with it, and must not erase what the old one said."""
    assert _decide(kind="user.created", consents=consents) == Skip(SkipReason.NO_CHOICES)


def test_the_first_one_is_delivered_where_it_has_a_choice() -> None:
    assert isinstance(_decide(kind="user.created"), Deliver)
    for other in (
        {"purposes": [{"id": "other", "enabled": True}]},
        {"channels": [{"id": "other", "enabled": True}]},
        {"tcfcs": "CPok"},
        {"vendors": {"enabled": [], "disabled": ["other"]}},
    ):
        assert _decide(kind="user.created", consents=other) == Skip(SkipReason.NOTHING_MAPPED)


def test_what_is_known_of_a_new_device_waits_for_its_first_choice() -> None:
    undecided = {"id": "news", "enabled": None, "values": {}, "metadata": {"text": "v2"}}
    nobody = {"purposes": [undecided], "vendors": {"enabled": [], "disabled": []}}
    country = {"id": "country", "value": "country"}
    for consents in (nobody, {}):
        decision = _decide(country, kind="user.created", country="DE", consents=consents)
        assert decision == Skip(SkipReason.NO_CHOICES)
    assert _delivered(country, country="DE", consents=nobody).attributes == {"country": "DE"}


def test_the_status_of_another_regulation_takes_nothing_back() -> None:
    """Didomi keeps a status of each user for each regulation."""
    target = _target(regulations=["gdpr", "cpra"])
    choices = [decide(target, snapshot(regulation=one), NOW_MS) for one in ("gdpr", "cpra", None)]
    users = [one.didomi_user for one in choices if isinstance(one, Deliver)]
    assert users == ["gdpr device", "cpra device", "gdpr device"]


def test_null_is_not_named() -> None:
    choice = _delivered(consents={"purposes": [{"id": "news", "enabled": None}]})
    assert (choice.attributes, choice.unmatched) == ({}, ("_acme.news",))


def test_consents_that_are_no_object_are_not_taken_for_none() -> None:
    decision = _decide(consents=[])
    assert isinstance(decision, Reject)
    assert decision.detail.startswith("consents: ")


def test_who_can_t_be_named_was_never_told_of() -> None:
    """Nothing of a user without a usable identity was sent, so there is nothing to take back."""
    guest = {"organization_user_id": "crm-77"}
    assert _decide(consents={}, **guest) == Skip(SkipReason.NOTHING_MAPPED)
    assert isinstance(_decide(**guest), Reject)


def test_an_event_takes_nothing_back() -> None:
    decision = decide(integration(), snapshot("user.updated"), NOW_MS)
    assert decision == Skip(SkipReason.USER_EVENT)


def test_what_goes_along_goes_along_when_something_is_taken_back() -> None:
    """The record that replaces the one before has it, too."""
    news, constant = {"id": "news", "value": NEWS}, {"id": "source", "constant": "didomi"}
    choice = _delivered(news, constant, {"id": "time", "value": "created_at"}, consents={})
    assert choice.attributes == {"source": "didomi", "time": AT}
    assert choice.companions == {"source", "time"}


ABSENT: list[tuple[dict[str, Any], Any]] = [
    ({"value": NEWS}, None),
    ({"value": NEWS, "absent": False}, False),
    ({"value": NEWS, "format": "consent-val", "absent": {"val": "u"}}, {"val": "u"}),
    ({"value": NEWS, "format": "inverted", "absent": True}, True),
    ({"value": TOPICS}, None),
    ({"value": TOPICS, "empty": "none"}, "none"),
    ({"value": TOPICS, "empty": "none", "absent": "unknown"}, "unknown"),
    ({"value": TOPICS, "format": "contains:shoes"}, False),
    ({"value": TOPICS, "format": ["contains:shoes", "y-n"]}, "n"),
    ({"value": "metadata_tier"}, None),
    ({"value": "metadata_tier", "absent": "none"}, "none"),
    ({"value": "consents_tcfcs", "absent": "none"}, "none"),
]


@pytest.mark.parametrize(("mapping", "becomes"), ABSENT)
def test_what_is_not_named_any_more_becomes_what_its_mapping_says(
    mapping: dict[str, Any], becomes: Any
) -> None:
    said = _delivered({"id": "x"} | mapping, consents={}).absent["x"]
    assert as_json(said) == becomes
    assert is_refusal(said), "in doubt the safer answer"
    assert (said is EMPTIED) is (becomes is None)


def test_what_is_taken_back_has_the_time_of_the_snapshot() -> None:
    beside = {"id": "x", "value": NEWS, "absent": False, "time_path": "t"}
    inside = {"id": "y", "value": NEWS, "format": "consent-val", "time_path": "y.time"}
    choice = _delivered(beside, inside | {"absent": {"val": "u"}}, consents={})
    assert choice.absent["x"] == Sent(False, True, "t", choice.event_time_ms)
    record = build_record(_target(), choice.absent, choice.identity, 0)
    assert (record["x"], record["t"]) == (False, AT)
    assert record["y"] == {"val": "u", "time": AT}


def test_without_times_all_snapshots_share_what_absent_says() -> None:
    target = _target({"id": "x", "value": NEWS, "absent": False})
    first, second = (decide(target, snapshot(id=one), NOW_MS) for one in "ab")
    assert isinstance(first, Deliver)
    assert isinstance(second, Deliver)
    assert first.absent is second.absent


def test_an_emptied_preference_is_named_and_a_missing_one_is_not() -> None:
    topics = {"id": "x", "value": TOPICS, "empty": "none"}

    def said(values: dict[str, Any]) -> dict[str, Any]:
        purpose = {"id": "news", "enabled": None, "values": values}
        attributes = _delivered(topics, consents={"purposes": [purpose]}).attributes
        return {path: as_json(value) for path, value in attributes.items()}

    assert said({"topics": {"value": ""}}) == {"x": "none"}
    assert said({"topics": {"value": None}}) == {}
    assert said({}) == {}


@pytest.mark.parametrize(
    ("mapping", "is_needed"),
    [
        ({"value": NEWS}, True),
        ({"value": TOPICS}, True),
        ({"value": "consents_purposes_shop_values_my_metadata_topics_value"}, True),
        ({"value": "consents_purposes_my_metadata_shop_values_topics_value"}, True),
        ({"value": "consents_purposes_shop_metadata_text"}, False),
        ({"value": "consents_tcfcs"}, True),
        ({"value": "consents_vendors_c:a_enabled"}, True),
        ({"value": NEWS, "absent": False}, False),
        ({"value": TOPICS, "empty": "none"}, False),
        ({"value": TOPICS, "format": "contains:shoes"}, False),
        ({"value": "metadata_tier"}, False),
        ({"value": "country"}, False),
        ({"value": "created_at"}, False),
        ({"constant": "didomi"}, False),
    ],
)
def test_an_update_can_t_take_a_choice_away(mapping: dict[str, Any], is_needed: bool) -> None:
    mapping = {"id": "x"} | mapping
    _target(mapping)
    integration(mappings=[{name: mapping[name] for name in mapping if name != "absent"}])
    if not is_needed:
        _target(mapping, payload_mode="upsert")
        return
    with pytest.raises(ValueError, match=r"mappings\.1\.absent: is required for events"):
        _target(mapping, payload_mode="upsert")

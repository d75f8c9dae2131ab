"""What is done with an event: one row a rule of the mapping and of the order of checks."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.examples import NOW_MS, envelope, event_document, integration
from worker.events import open_envelope
from worker.integrations.model import Integration
from worker.reasons import SkipReason
from worker.transform.decide import decide, unowned_deletion
from worker.transform.decision_types import Decision, Deliver, Reject, Skip
from worker.transform.xdm_message import build_payload, build_record, encode_message


def _payload(target: Integration, decision: Decision) -> dict[str, Any]:
    """The message for `decision`, which is the same however it is put together."""
    assert isinstance(decision, Deliver)
    record = build_record(target, decision.attributes, decision.identity, decision.event_time_ms)
    payload = build_payload(target, record)
    assert orjson.loads(encode_message(target, record)) == payload
    return payload


def _consents(*purposes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"consents": {"purposes": list(purposes)} | more}


def _user(**fields: Any) -> dict[str, Any]:
    return {"user": {"organization_user_id": "lena@northwind.example"} | fields}


V1 = {
    "id": "contact",
    "enabled": None,
    "preferences": [
        {"id": "offers", "enabled": True, "channels": [{"id": "email", "enabled": False}]}
    ],
    "channels": [{"id": "post", "enabled": True}],
}


@pytest.mark.parametrize(
    ("value", "event", "expected"),
    [
        ("consents_purposes_news_enabled", {}, True),
        ("consents_purposes_news_enabled", _consents({"id": "news", "enabled": False}), False),
        ("consents_purposes_a_b-C_enabled", _consents({"id": "a_b-C", "enabled": True}), True),
        (
            "consents_purposes_news_enabled_li",
            _consents({"id": "news", "enabled_li": False}),
            False,
        ),
        ("consents_purposes_contact_preferences_offers_enabled", _consents(V1), True),
        (
            "consents_purposes_contact_preferences_offers_channel_email_enabled",
            _consents(V1),
            False,
        ),
        (
            "consents_purposes_contact_preferences_offers_channels_email_enabled",
            _consents(V1),
            False,
        ),
        ("consents_purposes_contact_channel_post_enabled", _consents(V1), True),
        ("consents_preferences_offers_enabled", _consents(V1), True),
        ("consents_preferences_offers_channel_email_enabled", _consents(V1), False),
        (
            "consents_channels_push_enabled",
            _consents(channels=[{"id": "push", "enabled": True}]),
            True,
        ),
        (
            "consents_purposes_news_values_topics-X_value",
            _consents({"id": "news", "values": {"topics-X": {"value": "shoes,bags"}}}),
            "shoes,bags",
        ),
        ("organization_user_id", {}, "lena@northwind.example"),
        ("country", _user(country="DE"), "DE"),
        ("last_seen_country", _user(last_seen_country="AT"), "AT"),
        ("metadata_tier", _user(metadata={"tier": "gold"}), "gold"),
        ("metadata_vip", _user(metadata={"vip": False}), False),
        ("metadata_score", _user(metadata={"score": 7}), 7),
        ("metadata_score", _user(metadata={"score": 0.5}), 0.5),
    ],
)
def test_every_form_of_a_mapping_value(value: str, event: dict[str, Any], expected: object) -> None:
    target = integration(mappings=[{"id": "_acme.x", "value": value}])
    decision = decide(target, envelope(**event), NOW_MS)
    assert isinstance(decision, Deliver)
    assert decision.attributes == {"_acme.x": expected}


@pytest.mark.parametrize(
    ("event", "config", "expected"),
    [
        pytest.param(
            _consents({"id": "news", "enabled": None}),
            {},
            Skip(SkipReason.NOTHING_MAPPED),
            id="null",
        ),
        pytest.param(
            _consents({"id": "else", "enabled": True}),
            {},
            Skip(SkipReason.NOTHING_MAPPED),
            id="other",
        ),
        pytest.param(
            {"status": "pending_approval"}, {}, Skip(SkipReason.PENDING_APPROVAL), id="pending"
        ),
        pytest.param(
            {"regulation": "cpra"},
            {},
            Skip(SkipReason.REGULATION),
            id="regulation",
        ),
        pytest.param({"user": {"id": "device"}}, {}, Skip(SkipReason.GUEST), id="guest"),
        pytest.param(_user(organization_user_id="  "), {}, Skip(SkipReason.GUEST), id="blank user"),
        pytest.param(
            {},
            {"events": "user", "payload_mode": "xdm"},
            Skip(SkipReason.CONSENT_EVENT),
            id="not a snapshot",
        ),
    ],
)
def test_what_is_normal_is_skipped(
    event: dict[str, Any], config: dict[str, Any], expected: Skip
) -> None:
    assert decide(integration(**config), envelope(**event), NOW_MS) == expected


@pytest.mark.parametrize(
    ("event", "value", "reason"),
    [
        pytest.param(
            _consents({"id": "news", "enabled": True}, {"id": "news", "enabled": False}),
            "consents_purposes_news_enabled",
            "ambiguous-mapping",
            id="two answers",
        ),
        pytest.param(
            _user(metadata={"tier": ["gold"]}), "metadata_tier", "invalid-event", id="only a list"
        ),
        pytest.param(
            _user(metadata={"tier": {"a": 1}}), "metadata_tier", "invalid-event", id="an object"
        ),
        pytest.param(
            _user(organization_user_id="crm-77"),
            "consents_purposes_news_enabled",
            "no-identity",
            id="no e-mail address",
        ),
        pytest.param(
            _user(organization_user_id="crm-77" * 400 + "@b.example"),
            "consents_purposes_news_enabled",
            "no-identity",
            id="longer than Adobe takes",
        ),
        *(
            pytest.param(
                _user(organization_user_id=f"crm-77{odd}@b.example"),
                "consents_purposes_news_enabled",
                "no-identity",
                id=f"an address with U+{ord(odd):04X}",
            )
            for odd in "\x00\x7f\u0085\u00ad\u034f\u200b\u202e\u2060\u3164\ufe0f\ufeff\U000e0100"
        ),
    ],
)
def test_what_is_wrong_is_rejected(event: dict[str, Any], value: str, reason: str) -> None:
    target = integration(mappings=[{"id": "_acme.x", "value": value}])
    decision = decide(target, envelope(**event), NOW_MS)
    assert isinstance(decision, Reject)
    assert decision.reason == reason
    assert "crm-77" not in decision.detail


@pytest.mark.parametrize("kind", ["user.created", "user.updated", "user.deleted", "event.deleted"])
def test_kinds_by_event_source(kind: str) -> None:
    entity = event_document(updated_at="2026-03-02T08:15:30Z", organization_user_id="a@b.example")
    key = "new_entity" if kind.endswith("updated") else "entity"
    body = orjson.dumps({"type": kind, "parameters": {key: entity}})
    by_event = decide(integration(), open_envelope(body), NOW_MS)
    by_user = decide(integration(events="user", payload_mode="xdm"), open_envelope(body), NOW_MS)
    if kind == "event.deleted":
        assert (by_event, by_user) == (
            Skip(SkipReason.EVENT_DELETED),
            Skip(SkipReason.CONSENT_EVENT),
        )
    else:
        assert by_event == Skip(SkipReason.USER_EVENT)
        assert (
            by_user == Skip(SkipReason.USER_DELETED)
            if kind == "user.deleted"
            else isinstance(by_user, Deliver)
        )


@pytest.mark.parametrize("organization_id", [None, "northwind"])
def test_a_deletion_as_didomi_s_page_shows_it_is_unwanted_and_not_wrong(
    organization_id: str | None,
) -> None:
    """Its entity has `id` and `created_at` only."""
    entity = {"id": "ev-1", "created_at": "2026-03-02T08:15:30Z"}
    if organization_id is not None:
        entity["organization_id"] = organization_id
    opened = open_envelope(
        orjson.dumps({"type": "event.deleted", "parameters": {"entity": entity}})
    )
    expected = Skip(SkipReason.EVENT_DELETED)
    if organization_id is None:
        assert unowned_deletion(opened) == expected
    assert decide(integration(), opened, NOW_MS) == expected


def test_the_first_usable_identifier_is_the_identity() -> None:
    properties = {"properties": integration().properties.model_dump()}
    properties["properties"]["user_identifier"] = ["email", "personID"]
    for user, expected in (
        ("crm-77 ", ("personID", "crm-77")),
        ("a@b.example", ("email", "a@b.example")),
    ):
        decision = decide(
            integration(**properties), envelope(**_user(organization_user_id=user)), NOW_MS
        )
        assert isinstance(decision, Deliver)
        assert (decision.identity.identifier, decision.identity.value) == expected


def test_an_email_in_the_metadata_serves_when_the_user_id_is_none() -> None:
    event = _user(organization_user_id="crm-77", metadata={"email": "a@b.example"})
    decision = decide(integration(), envelope(**event), NOW_MS)
    assert isinstance(decision, Deliver)
    assert decision.identity.value == "a@b.example"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("trim", "Lena@B.example"),
        ("lower", "lena@b.example"),
        ("sha256", hashlib.sha256(b"lena@b.example").hexdigest()),
    ],
)
def test_normalisation(rule: str, expected: str) -> None:
    target = integration(identities={"email": {"normalisation": rule, "path": "_acme.email"}})
    decision = decide(target, envelope(**_user(organization_user_id=" Lena@B.example ")), NOW_MS)
    assert isinstance(decision, Deliver)
    assert decision.identity.value == expected


def test_the_upsert_payload() -> None:
    target = integration(
        identity_dataset_id="ids",
        mappings=[
            {"id": "_acme.a.b", "value": "consents_purposes_news_enabled", "format": "consent-val"}
        ],
    )
    decision = decide(target, envelope(), NOW_MS)
    payload = _payload(target, decision)
    assert payload["header"]["operations"] == {
        "data": "merge",
        "identity": "create",
        "identityDatasetId": "ids",
    }
    assert payload["body"] == {
        "_acme": {"a": {"b": {"val": "y"}}},
        "personalEmail": {"address": "lena@northwind.example"},
    }


def test_the_xdm_payload_with_an_identity_map() -> None:
    target = integration(
        payload_mode="xdm",
        events="user",
        identities={"email": {"location": "identity-map"}},
    )
    entity = event_document(updated_at="2026-03-02T08:15:30Z", organization_user_id="a@b.example")
    body = orjson.dumps({"type": "user.created", "parameters": {"entity": entity}})
    decision = decide(target, open_envelope(body), NOW_MS)
    payload = _payload(target, decision)
    assert payload["body"]["xdmMeta"]["schemaRef"] == payload["header"]["schemaRef"]
    assert "operations" not in payload["header"]
    assert payload["body"]["xdmEntity"] == {
        "_acme": {"news": True},
        "identityMap": {"Email": [{"id": "a@b.example", "primary": True}]},
    }


def test_the_time_of_the_choice_goes_along_where_the_integration_opts_in() -> None:
    target = integration(event_time_path="extSourceSystemAudit.lastUpdatedDate")
    payload = _payload(target, decide(target, envelope(), NOW_MS))
    assert payload["body"]["extSourceSystemAudit"] == {
        "lastUpdatedDate": "2026-03-02T08:15:30.120Z"
    }


@given(
    st.dictionaries(st.text("ab_-", min_size=1, max_size=6), st.booleans(), min_size=1, max_size=6)
)
def test_ids_with_underscores_and_dashes_just_work(purposes: dict[str, bool]) -> None:
    target = integration(
        mappings=[
            {"id": f"_acme.p{i}", "value": f"consents_purposes_{purpose}_enabled"}
            for i, purpose in enumerate(purposes)
        ]
    )
    event = _consents(*({"id": key, "enabled": value} for key, value in purposes.items()))
    decision = decide(target, envelope(**event), NOW_MS)
    assert isinstance(decision, Deliver)
    assert list(decision.attributes.values()) == list(purposes.values())

"""Bodies of messages. What is accepted must be fit for Adobe, and nothing quotes a person."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Any, Final, get_args

import orjson

from devtools.examples import integration_document
from devtools.fuzz.target import Target
from devtools.fuzz.values import PERSON, Raw, assert_hidden, below, json_bytes, pick, text, written
from worker.adobe.profile_lookup import KnownContacts, lookup_params
from worker.events import (
    MAX_VALUES,
    EarlyEvent,
    Envelope,
    UndecodableEvent,
    open_envelope,
    read_record,
)
from worker.events.field_readers import UndecodableReason
from worker.integrations.model import Integration
from worker.ordering.newest_fold import fold
from worker.ordering.stamp import Stamp
from worker.ordering.user_digests import UserKeys
from worker.transform.decide import decide
from worker.transform.decision_types import Deliver, Reject
from worker.transform.kept_sources import render_source
from worker.transform.mapping_plan import plan_of
from worker.transform.xdm_message import build_payload, build_record, encode_message

NOW_MS: Final = 1_800_000_000_000
_MOST_BYTES: Final = 1_040_000
_REASONS: Final = frozenset(get_args(UndecodableReason))
_TIMES: Final = (
    *("2026-03-02T08:15:30.120Z", "2026-03-02T08:15:30+14:00", "2026-03-02", "20260302T081530Z"),
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999Z"),
    *("2027-01-15T08:00:01Z", "2027-01-15T08:10:00Z", "2027-01-16T09:00:00Z", "2026-W10-1T00Z"),
    *("1969-12-31T23:59:59.9995Z", "2026-02-29T00:00:00Z", "2026-03-02T24:00:00Z"),
)
_NAMES: Final = (
    *("id", "organization_id", "created_at", "updated_at", "user", "consents", "purposes"),
    *("channels", "preferences", "values", "value", "enabled", "enabled_li", "metadata", "email"),
    *("status", "regulation", "country", "last_seen_country", "organization_user_id", "type"),
    *("parameters", "entity", "new_entity", "news", "sms", "a__b"),
)
_VALUES: Final = (
    *("consents_purposes_news_enabled", "consents_purposes_news_enabled_li"),
    *("consents_purposes_news_values_p1_value", "consents_preferences_p1_enabled"),
    *("consents_purposes_news_channels_sms_enabled", "consents_channels_sms_enabled"),
    *("metadata_tier", "country", "last_seen_country", "organization_user_id"),
)


def all_mapped(**changes: Any) -> dict[str, Any]:
    """An integration that takes whatever an event may have, and what is changed in it."""
    document = integration_document(
        mappings=[
            {"id": f"_acme.choices.m{index}", "value": value} for index, value in enumerate(_VALUES)
        ]
    )
    document["properties"]["user_identifier"] = ["email", "id"]
    return document | changes


_INTEGRATIONS: Final = tuple(
    Integration.model_validate(document)
    for document in (
        all_mapped(event_time_path="extSourceSystemAudit.lastUpdatedDate"),
        all_mapped(
            id="crm",
            events="user",
            payload_mode="xdm",
            identities={"email": {"location": "identity-map", "normalisation": "sha256"}},
            mappings=[
                {"id": "a.b", "value": _VALUES[0], "format": "consent-val"},
                {"id": "a.c", "value": "metadata_tier"},
                {"id": "a.d", "value": _VALUES[2], "empty": "none", "time_path": "a.t"},
            ],
        ),
    )
)
_USERS: Final = UserKeys(b"secret")
_CONTACTS: Final = KnownContacts()


def document(r: Random) -> dict[str, Any]:
    """A sound event of any kind and size."""
    kind = pick(r, ("event.created", "event.updated", "user.created", "user.updated", "bare"))
    person = {
        "id": "device",
        "organization_user_id": pick(r, (PERSON, f" {PERSON} ", text(r, 2_000), "4711", None)),
        "country": "FR",
        "metadata": _metadata(r),
    }
    consents = {
        "purposes": _purposes(r),
        "channels": [{"id": "sms", "enabled": True}] * below(r, 2),
    }
    entity: dict[str, Any] = {
        "id": pick(r, ("ev-1", "0b1d53f2-8d38-4e36-a6c5-3a1b93f2a111")),
        "organization_id": "northwind",
        "created_at": pick(r, _TIMES),
        "updated_at": pick(r, _TIMES),
        "status": pick(r, ("confirmed", "pending_approval", None)),
        "regulation": "gdpr",
        "consents": consents,
    }
    entity |= person if kind.startswith("user.") else {"user": person}
    if kind == "bare":
        return entity
    key = "new_entity" if kind.endswith("updated") else "entity"
    return {"type": kind, "regulation": "gdpr", "parameters": {key: entity}}


def _purposes(r: Random) -> Any:
    """A few, or seldom as many as a body can have."""
    if r.random() > 0.001:
        return [_purpose(r) for _ in range(below(r, 4))]
    one = written(pick(r, (_purpose(r), {"id": "a"}, {"id": "news", "values": {}}, {}))).decode()
    just_allowed = (MAX_VALUES - 300) // (1 + sum(map(one.count, ",{[")))
    count = pick(r, (100, just_allowed, _MOST_BYTES // (len(one) + 1)))
    return Raw(f"[{','.join([one] * count)}]")


def _metadata(r: Random) -> Any:
    if r.random() > 0.0005:
        return {"email": PERSON, "tier": pick(r, ("gold", True, None, 5))}
    return Raw("{" + ",".join(f'"{number}":1' for number in range(60_000)) + "}")


def _purpose(r: Random) -> dict[str, Any]:
    purpose: dict[str, Any] = {"id": pick(r, ("news", "loyalty_club")), "enabled": True}
    if r.random() < 0.4:
        purpose["enabled_li"] = pick(r, (True, False, None))
        purpose["values"] = {"p1": {"value": pick(r, ("weekly", None, "", ","))}}
        channels = [{"id": "sms", "enabled": False}]
        purpose["preferences"] = [{"id": "p1", "enabled": True, "channels": channels}]
        purpose["channels"] = channels
    return purpose


def make(r: Random) -> bytes:
    """A body."""
    return json_bytes(r, document(r), 0.02, _NAMES)


def check(body: bytes) -> None:
    """See the module."""
    try:
        envelope = open_envelope(body)
    except UndecodableEvent as error:
        _check_told(error)
        return
    try:
        with suppress(EarlyEvent):
            read_record(envelope, NOW_MS)
    except UndecodableEvent as error:
        _check_told(error)
    envelope = _USERS.without_person(envelope)
    for integration in _INTEGRATIONS:
        _check_decision(integration, envelope)


def _check_sources(integration: Integration, decision: Deliver) -> None:
    for path, source in (decision.sources or {}).items():
        kept = orjson.loads(orjson.dumps(source))
        again = render_source(plan_of(integration), path, kept, decision.event_time_ms)
        assert again == decision.attributes[path], "it is written otherwise"


def _check_decision(integration: Integration, envelope: Envelope) -> None:
    decision = decide(integration, envelope, NOW_MS)
    if isinstance(decision, Reject):
        assert_hidden(decision.detail)
    if not isinstance(decision, Deliver):
        return
    identity = decision.identity
    record = build_record(integration, decision.attributes, identity, decision.event_time_ms)
    message = orjson.loads(encode_message(integration, record))
    assert message == build_payload(integration, record), "Adobe reads something else"
    _check_sources(integration, decision)
    _USERS.user_key(integration.id, identity.place, identity.value)
    _CONTACTS.remember(integration, identity, True)
    lookup_params(integration, identity)
    for stamp in fold([decision], {}).written.values():
        assert Stamp.decode(stamp.encode()) == stamp


def _check_told(error: UndecodableEvent) -> None:
    assert error.reason in _REASONS
    assert_hidden(str(error))


TARGETS: Final = (Target("events", make, check, share=40),)

"""Personal data in the fields and headers of messages, of right types and wrong ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devtools.examples import integration_document
from tests.unit.examples import NOW_MS, event_document, integration
from tests.unit.privacy.conftest import EMAIL, MARKER, Observe, places, put
from worker.broker.retry_state import InvalidHeaders, read_retry_state
from worker.delivery.outcome import Dead, Failure, Outcome
from worker.events import UndecodableEvent, open_envelope
from worker.integrations.integration_registry import IntegrationRegistry
from worker.integrations.model import Integration
from worker.reasons import DeadReason
from worker.transform.decide import decide
from worker.transform.decision_types import Reject

NUMBER = 49_170_555_016
"""Personal data may be a number, too."""
ODD: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([MARKER, EMAIL, f"eyJ{MARKER}", NUMBER, -NUMBER, NUMBER / 10, None, True]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just(MARKER), inner),
    max_leaves=4,
)
CHOICES = [{"id": "offers", "enabled": True, "channels": [{"id": "post", "enabled": False}]}]
ENTITY = event_document(
    status="confirmed",
    regulation="gdpr",
    updated_at="2026-03-02T08:15:30Z",
    organization_user_id="lena@northwind.example",
    country="DE",
    last_seen_country="AT",
    metadata={"tier": "gold", "vip": "yes", "email": "lena@northwind.example"},
    user={
        "organization_user_id": "lena@northwind.example",
        "country": "DE",
        "last_seen_country": "AT",
        "metadata": {"tier": "gold", "vip": "yes", "email": "lena@northwind.example"},
    },
    domain="prefs.b.example",
    delegate={"id": "agent-17", "name": "Call centre", "metadata": {"desk": "B"}},
    consents={
        "vendors": {"enabled": ["v"], "disabled": [], "enabled_li": [], "disabled_li": ["v"]},
        "tcfcs": "CPok",
        "purposes": [
            {
                "id": "news",
                "metadata": {"text": "v2"},
                "enabled": True,
                "enabled_li": False,
                "values": {"topics": {"value": "shoes"}},
                "channels": [{"id": "push", "enabled": True}],
                "preferences": CHOICES,
            }
        ],
        "channels": CHOICES,
    },
)
KINDS = {
    "event.created": {"type": "event.created", "parameters": {"entity": ENTITY}},
    "user.updated": {"type": "user.updated", "parameters": {"new_entity": ENTITY}},
}
MAPPED_TWICE = (
    {"value": "metadata_vip", "format": "boolean"},
    {"value": "metadata_tier", "format": "list"},
    {"value": "metadata_tier", "format": ["contains:gold", "inverted"]},
    {"value": "delegate_metadata_desk", "format": "text"},
    {"value": "metadata_tier", "format": "text", "empty": "none"},
    {"value": "consents_purposes_news_enabled", "format": ["inverted", "y-n"], "time_path": "t"},
)
VALUES = (
    *("created_at", "updated_at", "domain", "regulation", "delegate_name", "event_metadata_tier"),
    *("consents_tcfcs", "consents_vendors_v_enabled_li", "consents_purposes_news_metadata_text"),
    *("metadata_tier", "country", "consents_purposes_news_enabled"),
    *("consents_purposes_news_values_topics_value", "consents_channels_offers_enabled"),
)


@pytest.mark.parametrize("kind", KINDS)
@given(odd=ODD)
def test_no_value_of_an_event_is_quoted_wherever_it_stands(kind: str, odd: Any) -> None:
    target = integration(
        events=kind.partition(".")[0],
        payload_mode="xdm" if kind == "user.updated" else "upsert",
        mappings=[
            {"id": f"_acme.{at}"} | (one if isinstance(one, dict) else {"value": one})
            for at, one in enumerate([*VALUES, *MAPPED_TWICE])
        ],
    )
    text = json.dumps(KINDS[kind])
    for place in places(KINDS[kind]):
        whole = json.loads(text)
        put(whole, place, odd)
        said = _said_of(target, orjson.dumps(whole))
        assert MARKER not in said
        assert str(NUMBER)[:4] not in said


def _said_of(target: Integration, body: bytes) -> str:
    try:
        decision = decide(target, open_envelope(body), NOW_MS)
    except UndecodableEvent as error:
        return f"{error} {error.field} {error.reason}"
    return decision.detail if isinstance(decision, Reject) else ""


@pytest.mark.parametrize("body", [MARKER, f'{{"{MARKER}": ', f'{{"a__b": "{MARKER}"}}'])
def test_a_body_that_is_no_event_is_not_quoted(body: str) -> None:
    with pytest.raises(UndecodableEvent) as refused:
        open_envelope(body.encode())
    assert MARKER not in str(refused.value)


HEADERS = (
    *("consent-integration", "consent-attempts", "consent-first-attempt-at"),
    *("consent-elapsed", "consent-replays"),
)


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("value", [MARKER, EMAIL, [MARKER], {"a": MARKER}, MARKER.encode()])
def test_a_header_is_not_quoted(name: str, value: Any, observe: Observe) -> None:
    whole = {"consent-integration": "shop", "consent-attempts": 1}
    whole |= {"consent-first-attempt-at": NOW_MS, "consent-elapsed": 0}
    try:
        state = read_retry_state(whole | {name: value}, NOW_MS)
    except InvalidHeaders as error:
        outcome: Outcome = Dead(
            DeadReason.INVALID_HEADERS, Failure(DeadReason.INVALID_HEADERS, str(error))
        )
        named = value if isinstance(value, str) and name == HEADERS[0] else "shop"
    else:
        outcome = Dead(
            DeadReason.UNKNOWN_INTEGRATION, Failure(DeadReason.UNKNOWN_INTEGRATION, "no such id")
        )
        named = state.integration_id or ""
    assert MARKER not in observe(named, outcome)


def test_an_id_that_no_file_has_is_not_known(tmp_path: Path) -> None:
    registry = IntegrationRegistry(tmp_path, lambda _: None, {})
    registry.load()
    for name, changes in (("shop", {}), ("bad", {"events": "all"})):
        (tmp_path / f"{name}.json").write_text(json.dumps(integration_document(id=name, **changes)))
    registry.refresh()
    assert [registry.knows(one) for one in ("shop", "bad", MARKER)] == [True, True, False]

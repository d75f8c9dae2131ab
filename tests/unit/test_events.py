"""Decoding: what is accepted, and that nothing but its own error ever comes out."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.examples import NOW_MS, envelope, event_document
from worker.events import MAX_VALUES, UndecodableEvent, open_envelope, read_record
from worker.reasons import DeadReason

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_only_the_decoders_own_error(body: bytes) -> None:
    try:
        open_envelope(body)
    except UndecodableEvent as error:
        assert error.reason in ("invalid-json", "invalid-event", "unknown-type")


@given(
    st.dictionaries(
        st.sampled_from(["id", "created_at", "user", "consents", "status", "regulation"]), JSON
    )
)
def test_arbitrary_fields_raise_only_the_decoders_own_error(changes: dict[str, Any]) -> None:
    body = json.dumps(event_document(**changes)).encode()
    try:
        read_record(open_envelope(body), NOW_MS)
    except UndecodableEvent as error:
        assert "lena" not in str(error)


def test_a_webhook_envelope_and_a_bare_event_say_the_same() -> None:
    entity = event_document()
    wrapped = open_envelope(
        orjson.dumps({"type": "event.created", "parameters": {"entity": entity}})
    )
    assert wrapped == envelope()


def test_an_update_is_read_from_its_new_entity_and_regulation_from_the_envelope() -> None:
    body = {
        "type": "event.updated",
        "regulation": "cpra",
        "parameters": {"old_entity": {"id": "old"}, "new_entity": event_document()},
    }
    opened = open_envelope(orjson.dumps(body))
    assert (opened.kind, opened.event_id, opened.regulation) == ("event.updated", "ev-1", "cpra")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": None}, "id"),
        ({"created_at": None}, "created_at"),
        ({"created_at": "yesterday"}, "created_at"),
        ({"created_at": "2026-03-02T08:15:30"}, "created_at"),
        ({"created_at": "2099-01-01T00:00:00Z"}, "created_at"),
        ({"status": "maybe"}, "status"),
        ({"user": "lena"}, "user"),
        ({"user": {"organization_user_id": 7}}, "user.organization_user_id"),
        ({"user": {"metadata": []}}, "user.metadata"),
        ({"consents": None}, "consents"),
        ({"consents": {"purposes": {}}}, "consents.purposes"),
        ({"consents": {"purposes": [{"enabled": True}]}}, "consents.purposes[0].id"),
        (
            {"consents": {"purposes": [{"id": "a", "enabled": "true"}]}},
            "consents.purposes[0].enabled",
        ),
        ({"consents": {"purposes": [{"id": "a", "enabled": 1}]}}, "consents.purposes[0].enabled"),
        (
            {"consents": {"purposes": [{"id": "a", "values": {"x": 1}}]}},
            "consents.purposes[0].values",
        ),
        ({"consents": {"channels": [{"id": "a", "enabled": 0}]}}, "consents.channels[0].enabled"),
    ],
)
def test_what_is_used_is_read_strictly(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(UndecodableEvent) as caught:
        read_record(envelope(**changes), NOW_MS)
    assert caught.value.field == field
    assert caught.value.reason == DeadReason.INVALID_EVENT


@pytest.mark.parametrize(
    ("document", "field"),
    [
        pytest.param([], "", id="a list"),
        pytest.param({"id": "ev-1"}, "", id="neither envelope nor event"),
        pytest.param(event_document(organization_id=None), "organization_id", id="no owner"),
        pytest.param(event_document(organization_id=""), "organization_id", id="empty owner"),
        pytest.param(event_document(organization_id=7), "organization_id", id="owner's type"),
        pytest.param({"type": "event.created"}, "parameters", id="no parameters"),
        pytest.param(
            {"type": "event.updated", "parameters": {"entity": {}}},
            "parameters.new_entity",
            id="an update with the entity of a creation",
        ),
        pytest.param(
            {"type": "event.created", "parameters": {"entity": 7}},
            "parameters.entity",
            id="entity's type",
        ),
        pytest.param(
            {"type": "event.created", "regulation": 7, "parameters": {"entity": {}}},
            "regulation",
            id="regulation's type",
        ),
    ],
)
def test_whose_event_it_is_must_be_said(document: Any, field: str) -> None:
    with pytest.raises(UndecodableEvent) as caught:
        open_envelope(orjson.dumps(document))
    assert (caught.value.reason, caught.value.field) == ("invalid-event", field)


@pytest.mark.parametrize("kind", ["event.moved", "", 7, None, ["event.created"]])
def test_an_unknown_type_is_told_with_the_known_ones_and_not_by_itself(kind: Any) -> None:
    with pytest.raises(UndecodableEvent, match=r"one of event\.created") as caught:
        open_envelope(orjson.dumps({"type": kind, "parameters": {"entity": event_document()}}))
    assert caught.value.reason == DeadReason.UNKNOWN_TYPE
    assert "moved" not in str(caught.value)


def test_a_flattened_body_is_refused_with_a_hint() -> None:
    with pytest.raises(UndecodableEvent, match="flatten"):
        open_envelope(b'{"entity__id": "x"}')


def test_unknown_fields_are_ignored() -> None:
    record = read_record(envelope(novelty={"a": 1}, proofs_id=["x"]), NOW_MS)
    assert record.event_time_ms == 1_772_439_330_120


@pytest.mark.parametrize(
    ("part", "count"), [(b"{}", MAX_VALUES // 2), (b"1", MAX_VALUES - 1), (b"[]", MAX_VALUES // 2)]
)
def test_a_body_with_more_values_than_any_event_is_refused_unread(part: bytes, count: int) -> None:
    """Each costs time in which nobody else is served."""
    fits = b'{"a":[' + b",".join([part] * (count - 1)) + b"]}"
    with pytest.raises(UndecodableEvent, match="neither"):
        open_envelope(fits)
    with pytest.raises(UndecodableEvent, match="more than 20000 values") as caught:
        open_envelope(b'{"a":[' + b",".join([part] * (count + 1)) + b"]}")
    assert caught.value.reason == DeadReason.INVALID_EVENT


def test_commas_in_a_large_text_are_no_values_up_to_thousands() -> None:
    opened = envelope(proof="a," * 9_000 + "x" * 500_000)
    assert read_record(opened, NOW_MS).event_id == "ev-1"


@pytest.mark.parametrize("kind", ["Event.created", "EVENT.CREATED", "event.Created"])
def test_a_kind_may_be_written_in_any_case(kind: str) -> None:
    body = orjson.dumps({"type": kind, "parameters": {"entity": event_document()}})
    assert open_envelope(body) == envelope()


@pytest.mark.parametrize("kind", ["event.deleted", "user.deleted"])
def test_a_deletion_need_not_tell_its_organization(kind: str) -> None:
    """Didomi's page shows one with `id` and `created_at` only."""
    entity = {"id": "ev-1", "created_at": "2026-03-02T08:15:30Z"}
    opened = open_envelope(orjson.dumps({"type": kind, "parameters": {"entity": entity}}))
    assert (opened.organization_id, opened.event_id, opened.is_deletion) == ("", "ev-1", True)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-03-02t08:15:30.120z", "2026-03-02T08:15:30.120Z"),
        ("2026-12-31T23:59:60Z", "2027-01-01T00:00:00Z"),
        ("2026-12-31T23:59:60.5z", "2027-01-01T00:00:00.500Z"),
        ("2026-12-31T15:59:60-08:00", "2027-01-01T00:00:00Z"),
        ("20261231T235960Z", "2027-01-01T00:00:00Z"),
    ],
)
def test_times_may_be_written_as_rfc_3339_allows(text: str, same: str) -> None:
    now_ms = 1_830_000_000_000
    times = [read_record(envelope(created_at=one), now_ms).event_time_ms for one in (text, same)]
    assert times[0] == times[1]


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02T08:15:61Z",
        "2026-03-02T08:60:00Z",
        "z",
        "60",
        "2026-03-02T08:15:00Z\0",
        "\02026-03-02T08:15:00Z",
        "2026-03-02T08:15:00\0Z",
    ],
)
def test_no_more_than_that(text: str) -> None:
    with pytest.raises(UndecodableEvent) as caught:
        read_record(envelope(created_at=text), NOW_MS)
    assert caught.value.field == "created_at"

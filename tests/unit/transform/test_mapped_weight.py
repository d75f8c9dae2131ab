"""A long value that many mappings name is refused before anything is made of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.unit.examples import NOW_MS, envelope, event_document, integration
from worker.events import open_envelope
from worker.reasons import DeadReason
from worker.transform.decide import decide
from worker.transform.decision_types import Decision, Deliver, Reject
from worker.transform.mapped_weight import written_bytes

LONG = "hush" * 200_000
WORDS = ",".join(f"hush{number}" for number in range(19_000))


def _decided(
    value: Any, steps: Any, mappings: int, place: str = "metadata_x", *, is_kept: bool = False
) -> Decision:
    mapped = [{"id": f"a{i}", "value": place, "format": steps} for i in range(mappings)]
    news = {"id": "news", "value": "consents_purposes_newsletter_enabled"}
    user = {"organization_user_id": "lena@northwind.example", "metadata": {"x": value}}
    merging = integration(mappings=[news, *mapped])
    whole = merging.model_copy(update={"payload_mode": "xdm"})
    body = orjson.dumps(event_document(user=user)).replace(b'"DEEP"', b"[" * 300 + b"]" * 300)
    return decide(whole if is_kept else merging, open_envelope(body), NOW_MS)


@pytest.mark.parametrize(
    ("value", "steps"),
    [
        (LONG, "as-is"),
        (LONG, "text"),
        (LONG, "list"),
        (LONG, "contains:x"),
        (LONG, ["boolean", "inverted"]),
        (WORDS, "list"),
        (WORDS, "contains:hush1"),
        (WORDS.split(","), "text"),
        (WORDS.split(","), "contains:hush1"),
        ([0] * 19_000, "list"),
        ([[LONG]], "contains:x"),
        ([{"y": LONG}, "x"], "contains:x"),
        ({"y": [LONG]}, "as-is"),
    ],
)
def test_of_a_hundred_mappings(value: Any, steps: Any) -> None:
    refused = _decided(value, steps, 100)
    assert isinstance(refused, Reject)
    assert refused.reason == DeadReason.INVALID_EVENT
    assert refused.detail == (
        "the value at metadata_x is too long for the 100 mappings that name it"
    )


@pytest.mark.parametrize("steps", ["as-is", "text", "list"])
@pytest.mark.parametrize("mappings", [1, 2])
def test_one_or_two_may_write_a_value_as_long_as_the_body_allows(steps: Any, mappings: int) -> None:
    assert isinstance(_decided(LONG, steps, mappings), Deliver)
    assert isinstance(_decided(WORDS, steps, mappings), Deliver)


@pytest.mark.parametrize("is_kept", [False, True])
def test_a_hundred_may_look_for_one_of_five_hundred_selected_values(is_kept: bool) -> None:
    value = ",".join(f"store-{number}" for number in range(500))
    decision = _decided(value, "contains:store-7", 100, is_kept=is_kept)
    assert isinstance(decision, Deliver)
    assert decision.attributes["a99"] is True


@pytest.mark.parametrize("value", [LONG[:30_000], [LONG[:30_000]], [["x", LONG[:30_000]]]])
def test_what_each_of_a_hundred_keeps_for_later_counts_together(value: Any) -> None:
    assert isinstance(_decided(value, "contains:x", 100), Deliver), "nothing is kept"
    refused = _decided(value, "contains:x", 100, is_kept=True)
    assert isinstance(refused, Reject)
    assert "metadata_x is too long for the 100 mappings" in refused.detail
    assert isinstance(_decided(value, "contains:x", 10, is_kept=True), Deliver)
    assert isinstance(_decided(LONG, "contains:x", 2, is_kept=True), Deliver)


@pytest.mark.parametrize("is_kept", [False, True])
@pytest.mark.parametrize("steps", ["contains:x", "as-is", "list", "text"])
def test_what_is_nested_too_deeply_to_be_written_is_refused(steps: Any, is_kept: bool) -> None:
    refused = _decided("DEEP", steps, 1, is_kept=is_kept)
    assert isinstance(refused, Reject)
    assert refused.reason == DeadReason.INVALID_EVENT
    assert refused.detail == "the value at metadata_x is nested too deeply"


def test_two_values_at_one_place_that_are_nested_too_deeply_to_be_compared_are_refused() -> None:
    """What reads JSON takes a thousand levels, which Python does not compare."""
    mapped = [{"id": "_acme.x", "value": "consents_purposes_news_metadata_x", "format": "text"}]
    purposes = [{"id": "news", "metadata": {"x": "DEEP"}}] * 2
    body = orjson.dumps(event_document(consents={"purposes": purposes}))
    body = body.replace(b'"DEEP"', b"[" * 1_000 + b"]" * 1_000)
    refused = decide(integration(mappings=mapped), open_envelope(body), NOW_MS)
    assert isinstance(refused, Reject)
    assert refused.reason == DeadReason.INVALID_EVENT
    place = "consents_purposes_news_metadata_x"
    assert refused.detail == f"the value at {place} is nested too deeply"


def test_a_thousand_may_write_a_short_one() -> None:
    assert isinstance(_decided("gold", "as-is", 999), Deliver)


def test_several_long_values_count_together() -> None:
    mapped = [
        {"id": f"{place}{i}", "value": f"metadata_{place}"} for place in "xyz" for i in range(2)
    ]
    metadata = {"x": LONG[:99_000], "y": LONG[:99_000], "z": LONG[:99_000]}
    user = {"organization_user_id": "lena@northwind.example", "metadata": metadata}
    assert isinstance(decide(integration(mappings=mapped), envelope(user=user), NOW_MS), Deliver)
    mapped.append({"id": "x2", "value": "metadata_x"})
    refused = decide(integration(mappings=mapped), envelope(user=user), NOW_MS)
    assert isinstance(refused, Reject)
    assert "metadata_x is too long for the 3 mappings" in refused.detail


def test_what_is_written_is_reckoned_by_texts_and_lists() -> None:
    assert written_bytes([True, False]) == 0
    assert written_bytes(["x" * 1_000]) == 1_000
    assert written_bytes([["x" * 1_000, 7]]) == 1_100

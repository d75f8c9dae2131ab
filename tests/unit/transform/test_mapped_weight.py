"""A long value that many mappings name is refused before anything is made of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.examples import NOW_MS, envelope, integration
from worker.reasons import DeadReason
from worker.transform.decide import decide
from worker.transform.decision_types import Decision, Deliver, Reject
from worker.transform.mapped_weight import written_bytes

LONG = "hush" * 200_000
WORDS = ",".join(f"hush{number}" for number in range(19_000))


def _decided(value: Any, steps: Any, mappings: int, place: str = "metadata_x") -> Decision:
    mapped = [{"id": f"a{i}", "value": place, "format": steps} for i in range(mappings)]
    news = {"id": "news", "value": "consents_purposes_newsletter_enabled"}
    user = {"organization_user_id": "lena@northwind.example", "metadata": {"x": value}}
    return decide(integration(mappings=[news, *mapped]), envelope(user=user), NOW_MS)


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


def test_a_hundred_may_look_for_one_of_five_hundred_selected_values() -> None:
    value = ",".join(f"store-{number}" for number in range(500))
    decision = _decided(value, "contains:store-7", 100)
    assert isinstance(decision, Deliver)
    assert decision.attributes["a99"] is True


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

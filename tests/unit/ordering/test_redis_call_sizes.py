"""What goes into one call of Redis is bounded, and is all that there is."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.ordering.redis_call_sizes import (
    MOST_WEIGHT,
    claiming_weight,
    portions,
    settling_weight,
)
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import Claim, Settlement

STAMP = Stamp(1, 0, False, "e")
PATHS = [f"_acme.{number}" for number in range(1_000)]


def settled(paths: list[str], text: str | None = None) -> Settlement:
    texts = None if text is None else dict.fromkeys(paths, text)
    return Settlement("lena", 1, dict.fromkeys(paths, STAMP), True, texts)


@given(st.lists(st.integers(0, MOST_WEIGHT + 5) | st.sampled_from([0, 1, MOST_WEIGHT])))
def test_all_goes_in_order_and_as_much_together_as_a_call_may_have(weights: list[int]) -> None:
    found = [list(one) for one in portions(weights, lambda weight: weight)]
    assert [weight for one in found for weight in one] == weights
    assert all(found), "none is empty"
    assert all(sum(one) <= MOST_WEIGHT or len(one) == 1 for one in found)
    pairs = pairwise(found)
    assert all(sum(one) + following[0] > MOST_WEIGHT for one, following in pairs)


def test_a_usual_request_is_one_call() -> None:
    claims = [Claim("lena", PATHS[:10], PATHS[:10])] * 200
    settlements = [settled(PATHS[:10], "x" * 150)] * 200
    assert len(list(portions(claims, claiming_weight))) == 1
    assert len(list(portions(settlements, settling_weight))) == 1


@pytest.mark.parametrize(
    ("one", "calls"),
    [
        pytest.param(settled(PATHS), 23, id="a thousand stamps"),
        pytest.param(settled(PATHS, ""), 34, id="with empty texts"),
        pytest.param(settled(PATHS, "x" * 400), 67, id="with long texts"),
        pytest.param(settled(PATHS[:1], "x" * 1_000_000), 67, id="with one text of a megabyte"),
    ],
)
def test_of_two_hundred_persons_with_much_a_few_go_together(one: Settlement, calls: int) -> None:
    assert len(list(portions([one] * 200, settling_weight))) == calls


def test_so_do_two_hundred_claims_of_much() -> None:
    claims = [Claim("lena", PATHS, PATHS[:500])] * 200
    assert len(list(portions(claims, claiming_weight))) == 16


def test_of_whom_nothing_is_written_has_a_weight_too() -> None:
    assert len(list(portions([settled([])] * 20_000, settling_weight))) == 5

"""The slots of a Redis Cluster, as masters tell them."""

from __future__ import annotations

from typing import Any

import pytest

from worker.ordering.redis_slots import (
    SLOTS,
    UNSERVED,
    SlotMap,
    address_of,
    slot_map,
    slot_of,
    tag_of,
)

THREE = [
    [0, 5460, [b"10.0.0.1", 6379, b"id"], [b"10.0.0.9", 6379, b"a replica"]],
    [5461, 10922, [b"", 7000, b"id"]],
    [10923, 16383, [b"fe80::1", 6379, b"id"]],
]


def test_a_key_is_in_the_slot_of_its_hash_tag() -> None:
    # From the specification of Redis Cluster, and `CLUSTER KEYSLOT`.
    assert slot_of("123456789") == 12739
    assert slot_of("consent:{123456789}:lena") == 12739
    assert slot_of("consent:{123456789}:lena:busy") == 12739


@pytest.mark.parametrize("slot", [0, 1, 5461, SLOTS - 1])
def test_there_is_a_tag_for_each_slot(slot: int) -> None:
    assert slot_of(f"consent:{{{tag_of(slot)}}}:ping") == slot


def test_masters_are_known_by_their_slots() -> None:
    known = slot_map(THREE, "asked.example")
    assert known.is_known
    assert known.masters == ("10.0.0.1:6379", "asked.example:7000", "[fe80::1]:6379")
    assert [known.owner(slot) for slot in (0, 5460, 5461, 16383)] == [
        "10.0.0.1:6379",
        "10.0.0.1:6379",
        "asked.example:7000",
        "[fe80::1]:6379",
    ]
    assert [known.first_of(one) for one in known.masters] == [0, 5461, 10923]
    known.move(0, "other:1")
    assert (known.first_of("other:1"), known.first_of("10.0.0.1:6379")) == (0, 1)
    assert known.first_of("10.0.0.1:6379", {0, 1, 2, 4}) == 3
    assert known.first_of("other:1", {0}) is None


def test_what_nobody_has_is_a_part_of_its_own() -> None:
    known = slot_map(THREE[:2], "h")
    assert known.is_known
    assert (known.owner(11_000), known.first_of(UNSERVED)) == (UNSERVED, 10923)
    assert not SlotMap().is_known
    assert not slot_map([], "h").is_known


@pytest.mark.parametrize(
    "answer",
    [b"OK", 3, [[0, 1]], [[0, 20_000, [b"h", 1]]], [["a", 1, [b"h", 1]]], [[0, 1, [b"h", b"p"]]]],
    ids=repr,
)
def test_what_is_no_map_is_refused(answer: Any) -> None:
    with pytest.raises(ValueError, match="no slots"):
        slot_map(answer, "h")


def test_a_host_that_is_not_told_is_the_one_that_was_asked() -> None:
    assert [address_of(host, 1, "asked") for host in (None, b"", "?", "named")] == [
        "asked:1",
        "asked:1",
        "asked:1",
        "named:1",
    ]

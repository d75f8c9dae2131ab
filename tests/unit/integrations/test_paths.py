"""Paths that can't both be written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.integrations.xdm_paths import collisions, find_name_beside_person, find_path_conflict

PATHS = st.lists(st.sampled_from(["a", "b", "a-", "a!", "ab"]), min_size=1, max_size=3)


def lies_in(path: str, other: str) -> bool:
    return path.split(".")[: len(other.split("."))] == other.split(".")


@given(st.sets(PATHS.map(".".join), max_size=6))
def test_a_conflict_is_found_wherever_there_is_one(paths: set[str]) -> None:
    """Names may stand before the dot in the order of characters."""
    inside = [(a, b) for a in paths for b in paths if a != b and lies_in(b, a)]
    assert find_path_conflict(paths) in (inside or (None,))
    for a in paths:
        for b in paths:
            assert collisions(a, [b]) == ([b] if lies_in(a, b) or lies_in(b, a) else [])


@pytest.mark.parametrize("path", ["ids.all", "ids.all.val", "ids.all.since", "ids.all.val.time"])
def test_a_name_where_another_path_has_the_person_may_be_a_persons(path: str) -> None:
    person = "ids.<value>.val"
    assert find_name_beside_person({"other", person, path}) == (person, path)
    assert collisions(path, [person]) == [person]
    assert collisions(person, [path, "other"]) == [path]


@pytest.mark.parametrize("path", ["ids.<value>.since", "idsOfAll.val", "other.ids.all", "other"])
def test_other_names_are_no_persons(path: str) -> None:
    assert find_name_beside_person({"ids.<value>.val", path}) is None
    assert collisions(path, ["ids.<value>.val"]) == []

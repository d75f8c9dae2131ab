"""Whose state an integration goes on with when ids change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.integrations.state_id_needs import Standing
from worker.ordering.state_ids import (
    SEEN_EVERY_MS,
    Settled,
    StateRecord,
    decode,
    settle_state_ids,
)

HERE, THERE = "here", "there"


class State:
    """What a store remembers, and the clock."""

    def __init__(self) -> None:
        self.records: dict[str, StateRecord] = {}
        self.now_ms = 1_000

    def settle(
        self, targets: dict[str, str], *, known: dict[str, str] | None = None, doubtful: str = ""
    ) -> Settled:
        self.now_ms += 1
        standing = Standing(targets, frozenset(doubtful.split()), known or {})
        settled = settle_state_ids(self.records, standing, self.now_ms)
        for one, record in settled.changes.items():
            self.records.pop(one, None)
            if record is not None:
                self.records[one] = record
        again = settle_state_ids(self.records, standing, self.now_ms)
        assert again.state_ids == settled.state_ids, "who asks again is told the same"
        return settled

    def ids(self, **targets: str) -> dict[str, str]:
        return dict(self.settle(targets).state_ids)


@pytest.fixture
def state() -> State:
    return State()


def test_a_new_one_has_its_own(state: State) -> None:
    assert state.ids(a=HERE, b=HERE, c=THERE) == {"a": "a", "b": "b", "c": "c"}


def test_over_a_chain_of_names_the_first_stays(state: State) -> None:
    state.ids(a=HERE)
    settled = state.settle({"b": HERE})
    assert (settled.state_ids, settled.taken) == ({"b": "a"}, {"b": "a"})
    assert state.ids(c=HERE) == {"c": "a"}
    assert state.ids(a=HERE) == {"a": "a"}, "and back again"


def test_another_target_takes_nothing_over(state: State) -> None:
    state.ids(a=HERE)
    assert state.ids(b=THERE) == {"b": "b"}


def test_who_is_in_force_gives_nothing_away(state: State) -> None:
    state.ids(a=HERE)
    assert state.ids(a=HERE, b=HERE) == {"a": "a", "b": "b"}


def test_who_is_in_doubt_gives_nothing_away(state: State) -> None:
    state.ids(a=HERE)
    assert state.settle({"b": HERE}, doubtful="a").state_ids == {"b": "b"}


def test_of_two_that_are_gone_the_later_one_counts(state: State) -> None:
    state.ids(b=HERE, a=HERE)
    state.now_ms += SEEN_EVERY_MS
    state.ids(a=HERE)
    assert state.ids(c=HERE, d=HERE) == {"c": "a", "d": "b"}


def test_who_was_seen_to_go_went_then(state: State) -> None:
    state.ids(b=HERE, a=HERE)
    state.settle({"a": HERE}, known={"a": "a", "b": "b"})
    state.settle({"b": HERE}, known={"a": "a"})
    assert state.ids(c=HERE) == {"c": "a"}


def test_an_old_name_with_another_target_begins_anew(state: State) -> None:
    state.ids(a=HERE)
    state.ids(b=HERE)
    settled = state.settle({"b": HERE, "a": THERE})
    assert (settled.state_ids, settled.anew) == ({"b": "a", "a": "a~2"}, ("a",))
    assert state.ids(b=HERE, c=THERE) == {"b": "a", "c": "a~2"}
    assert state.ids(b=HERE, c=THERE, a=HERE) == {"b": "a", "c": "a~2", "a": "a~3"}


def test_two_that_swap_their_ids_swap_their_states(state: State) -> None:
    state.ids(a=HERE, b=THERE)
    assert state.ids(a=THERE, b=HERE) == {"a": "b", "b": "a"}


def test_who_only_sends_elsewhere_keeps_its_own(state: State) -> None:
    state.ids(a=HERE)
    assert state.ids(a=THERE) == {"a": "a"}
    assert state.ids(b=THERE) == {"b": "a"}


def test_workers_that_see_it_at_different_moments_agree(state: State) -> None:
    state.ids(a=HERE)
    state.ids(b=HERE)
    late = state.settle({"a": HERE}, known={"a": "a"})
    early = state.settle({"b": HERE}, known={"b": "a"})
    assert (late.state_ids, early.state_ids) == ({"a": "a"}, {"b": "a"})
    assert state.ids(b=HERE) == {"b": "a"}, "a third one, which starts"


def test_who_sees_it_late_goes_on_with_its_own_though_another_went_later(state: State) -> None:
    state.ids(a=HERE, z=HERE)
    state.ids(b=HERE, z=HERE)
    state.now_ms += SEEN_EVERY_MS
    state.ids(z=HERE)
    assert state.settle({"a": HERE}, known={"a": "a"}).state_ids == {"a": "a"}


def test_after_a_loss_a_worker_goes_on_by_what_it_knows(state: State) -> None:
    assert state.settle({"b": HERE}, known={"b": "a"}).state_ids == {"b": "a"}
    assert state.ids(b=HERE, a=THERE) == {"b": "a", "a": "a~2"}


def test_what_has_not_changed_is_not_written(state: State) -> None:
    state.ids(a=HERE)
    assert state.settle({"a": HERE}).changes == {}
    state.now_ms += SEEN_EVERY_MS
    assert state.settle({"a": HERE}).changes["a"] == StateRecord(HERE, "a", state.now_ms)


@given(st.lists(st.dictionaries(st.sampled_from("abcd"), st.sampled_from("ST"))))
def test_no_two_in_force_share_a_state_and_nobody_changes_it_for_nothing(
    views: list[dict[str, str]],
) -> None:
    state = State()
    before: dict[str, str] = {}
    targets: dict[str, str] = {}
    for view in views:
        ids = dict(state.settle(view, known=before).state_ids)
        assert sorted(ids) == sorted(view)
        assert len(set(ids.values())) == len(ids)
        owners = [record.state_id for record in state.records.values()]
        assert len(set(owners)) == len(owners)
        for one in view:
            if one in before and targets[one] == view[one]:
                assert ids[one] == before[one]
        before, targets = ids, view


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '["t","a"]', '["t","a}b",1]', '["t","a~b",1]', '["t",1,1]', "[" * 9999, "7"],
)
def test_what_is_no_text_of_ours_is_none(text: str) -> None:
    assert decode(text) is None


@pytest.mark.parametrize("state_id", ["a", "a~2"])
def test_what_is_written_can_be_read(state_id: str) -> None:
    record = StateRecord(HERE, state_id, 7)
    assert decode(record.encode()) == record

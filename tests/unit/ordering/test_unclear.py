"""The marks of unclear answers: which choice they speak of, and what that makes of another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.ordering.newest_fold import fold, stamps_of
from worker.ordering.stamp import Stamp
from worker.ordering.unclear_requests import (
    Moment,
    before,
    follows,
    holds,
    is_newer,
    mark_of,
    merged,
    moments_of,
    was_accepted,
)
from worker.ordering.verdicts import Verdict


@dataclass(frozen=True)
class Choice:
    event_time_ms: int
    event_id: str
    updated_at_ms: int | None = None
    attributes: dict[str, Any] = field(default_factory=lambda: {"news": True})
    companions: frozenset[str] = frozenset()
    didomi_user: str | None = None


OLD, NEW = Choice(10, "old"), Choice(20, "new")
choices = st.builds(
    Choice, st.integers(-2, 2), st.sampled_from(["a", "b"]), st.sampled_from([None, 0, 7])
)


def moments(unclear: list[Choice]) -> list[Moment]:
    """Those of messages of their own, which nothing stands before."""
    return [moment for one in unclear for moment in moments_of([one], fold([one], {}))]


@pytest.mark.parametrize(
    ("choice", "newer"),
    [
        pytest.param(OLD, False, id="itself"),
        pytest.param(NEW, True, id="later"),
        pytest.param(Choice(9, "older"), False, id="earlier"),
        pytest.param(Choice(10, "other"), True, id="another of the same time"),
        pytest.param(Choice(10, "old", 11), True, id="its confirmed self"),
        pytest.param(Choice(-5, "old"), False, id="of before 1970"),
    ],
)
def test_what_may_be_overwritten_by_what_is_unclear(choice: Choice, newer: bool) -> None:
    assert is_newer(choice, mark_of(moments([OLD]), 1000, None, is_whole=False)) is newer


def test_a_mark_speaks_of_the_oldest_choice_and_holds_the_longest() -> None:
    first = mark_of(moments([NEW, OLD]), 1000, None, is_whole=False)
    assert (first.time_ms, first.updated_ms) == (1000, 10)
    assert mark_of(moments([NEW]), 5000, first, is_whole=False) == first._replace(time_ms=5000)


def test_a_new_mark_keeps_the_moment_of_what_was_unclear_within_a_day() -> None:
    """It may have been carried out: a snapshot takes it back. It makes no repeats."""
    first = mark_of(moments([OLD]), 1000, None, is_whole=False)
    over = first._replace(time_ms=-3_600_000)
    assert not holds(over)
    mark = mark_of(moments([NEW]), 5000, over, is_whole=False)
    between = Choice(15, "between")
    assert not is_newer(between, mark)
    assert not is_newer(NEW, mark), "itself"
    assert follows(between, mark)
    assert not follows(OLD, mark)
    assert Stamp.decode(mark.encode()) == mark
    third = mark_of(moments([Choice(30, "newest")]), 5000, mark, is_whole=False)
    assert (third.updated_ms, follows(between, third)) == (20, True)
    long_over = first._replace(time_ms=-90_000_000)
    assert not follows(between, mark_of(moments([NEW]), 5000, long_over, is_whole=False))


def test_what_was_sent_after_a_whole_record_is_newer_than_that() -> None:
    mark = mark_of(moments([NEW]), 1000, None, is_whole=True)
    later = mark_of(moments([NEW]), 1000, mark, is_whole=False)
    for one in (mark, later, Stamp.decode(mark.encode())):
        assert is_newer(OLD, one)


def test_a_choice_is_the_same_though_its_mapping_writes_it_otherwise_now() -> None:
    """A boolean has refused, and the text of the same event does not tell that."""
    stored = {"news": Stamp(20, 0, True, "new")}
    now = Choice(20, "new", attributes={"news": "no"})
    assert stamps_of(now)["news"] < stored["news"]
    assert was_accepted(now, stored)
    assert before([now], stored) == {}


def test_of_two_at_the_same_time_each_may_overwrite_the_other() -> None:
    mark = mark_of(moments([Choice(10, "a"), Choice(10, "b")]), 1000, None, is_whole=False)
    assert is_newer(Choice(10, "a"), mark)
    assert is_newer(Choice(10, "b"), mark)


def test_what_is_taken_back_is_of_when_it_was_chosen() -> None:
    snapshot, since = Choice(20, "snapshot"), Choice(15, "since")
    taken_back = {"news": Stamp(10, 0, True, "old~"), "@device": Stamp(20, 0, False, "snapshot")}
    folded = fold([snapshot], {})._replace(written=taken_back)
    mark = mark_of(moments_of([snapshot], folded), 1000, None, is_whole=False)
    assert [is_newer(one, mark) for one in (Choice(9, "a"), OLD, since, NEW)] == [
        False,
        True,  # of two at the same time each may
        True,
        True,
    ]


@given(st.lists(choices, min_size=1), choices)
def test_marks_may_be_put_together_in_any_order(unclear: list[Choice], other: Choice) -> None:
    mark = mark_of(moments(unclear), 1000, None, is_whole=False)
    assert mark == mark_of(moments(unclear[::-1]), 1000, None, is_whole=False)
    assert mark == merged(mark, mark)
    assert Stamp.decode(mark.encode()) == mark
    assert len(mark.encode()) <= 64, "which Redis stores compactly"
    oldest = min(one.event_time_ms for one in unclear)
    assert is_newer(other, mark) or other.event_time_ms <= oldest
    alone = [
        is_newer(other, mark_of(moments([one]), 1000, None, is_whole=False)) for one in unclear
    ]
    assert is_newer(other, mark) or not any(alone), "nothing is overlooked"


@pytest.mark.parametrize(
    ("stored", "accepted"),
    [
        pytest.param({}, False, id="nothing is known"),
        pytest.param({"news": stamps_of(NEW)["news"]}, True, id="its own stands"),
        pytest.param({"news": Stamp(30, 0, False, "x")}, True, id="something newer"),
        pytest.param({"news": Stamp(5, 0, False, "x")}, False, id="something older"),
        pytest.param({"tier": Stamp(30, 0, False, "x")}, False, id="something else"),
    ],
)
def test_whether_a_choice_was_accepted_before(stored: dict[str, Stamp], accepted: bool) -> None:
    assert was_accepted(NEW, stored) is accepted


def test_a_repeat_is_sent_where_its_own_stamp_stands_and_nothing_older_is() -> None:
    both = Choice(20, "new", None, {"news": True, "tier": 1, "offers": True})
    older = Choice(10, "old", None, {"news": False, "offers": False})
    stored = stamps_of(both) | {"offers": Stamp(30, 0, False, "x")}
    folded = fold([older, both], before([both], stored))
    assert folded.attributes == {"news": True, "tier": 1}
    assert folded.verdicts == [Verdict.YIELDS, Verdict.CONTRIBUTES]
    assert folded.written == {path: stored[path] for path in ("news", "tier")}

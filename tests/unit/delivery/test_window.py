"""How many requests an integration may have in flight."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.delivery.lanes.request_limits import RequestWindow


def test_it_grows_by_one_per_round_trip_of_a_full_window() -> None:
    window = RequestWindow(8)
    sizes = [window.size]
    for _ in range(5):
        for _ in range(window.size + 1):
            window.succeeded(in_flight=window.size)
        sizes.append(window.size)
    assert sizes == [4, 5, 6, 7, 8, 8]


def test_a_lane_that_does_not_fill_it_proves_nothing() -> None:
    window = RequestWindow(8)
    for _ in range(100):
        window.succeeded(in_flight=3)
    assert window.size == 4


def test_all_failures_of_one_round_trip_halve_it_once() -> None:
    window = RequestWindow(8)
    epoch = window.epoch
    for _ in range(4):
        window.overloaded(epoch)
    assert window.size == 2
    window.overloaded(window.epoch)
    assert window.size == 1


def test_it_recovers_from_the_smallest_size() -> None:
    window = RequestWindow(8)
    for _ in range(5):
        window.overloaded(window.epoch)
    assert window.size == 1
    for _ in range(50):
        window.succeeded(in_flight=window.size)
    assert window.size == 8


def test_a_limit_below_the_first_size_holds_from_the_start() -> None:
    assert RequestWindow(1).size == 1


def test_a_lower_limit_holds_at_once_and_a_higher_one_is_grown_into() -> None:
    window = RequestWindow(8)
    window.set_limit(2)
    assert window.size == 2
    window.set_limit(3)
    assert window.size == 2
    for _ in range(10):
        window.succeeded(in_flight=window.size)
    assert window.size == 3


@given(
    limit=st.integers(1, 256),
    events=st.lists(
        st.one_of(
            st.tuples(st.just("succeeded"), st.integers(0, 300)),
            st.tuples(st.just("overloaded"), st.integers(0, 3)),
            st.tuples(st.just("limit"), st.integers(1, 256)),
        ),
        max_size=60,
    ),
)
def test_it_is_never_below_one_nor_above_its_limit(
    limit: int, events: list[tuple[str, int]]
) -> None:
    window = RequestWindow(limit)
    for kind, number in events:
        before = window.size
        if kind == "succeeded":
            window.succeeded(number)
            assert before <= window.size <= before + 1
        elif kind == "overloaded":
            window.overloaded(window.epoch - number)
            if number:  # of an earlier round trip
                assert window.size == before
            else:
                assert window.size in (max(1, before // 2), (before + 1) // 2)
        else:
            limit = number
            window.set_limit(limit)
        assert 1 <= window.size <= limit

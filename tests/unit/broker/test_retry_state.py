"""Reading and writing the retry headers, tampered ones included."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.broker.headers import epoch_in, lateness_seconds
from worker.broker.retry_state import (
    InvalidHeaders,
    RetryState,
    read_retry_state,
    write_retry_state,
)

NOW = 1_800_000_000_000
GOOD = {
    "consent-integration": "shop",
    "consent-attempts": 2,
    "consent-first-attempt-at": NOW - 5000,
    "consent-elapsed": 5000,
}
SERVED = {"consent-blocked-since": NOW - 5000, "consent-served": "shop,press"}


def test_those_that_were_served_are_read_and_written_within_bounds() -> None:
    assert read_retry_state(SERVED, NOW).served == ("shop", "press")
    many = RetryState(blocked_since_ms=NOW, served=tuple(f"shop-{n}" for n in range(1000)))
    read = read_retry_state(write_retry_state(many), NOW).served
    assert read == many.served[: len(read)]
    assert len(read) > 100


def test_a_producers_message_is_fresh() -> None:
    assert read_retry_state({"traceparent": "x"}, NOW) == RetryState()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"consent-attempts": -1}, id="negative attempts"),
        pytest.param({"consent-attempts": "two"}, id="text attempts"),
        pytest.param({"consent-attempts": True}, id="boolean attempts"),
        pytest.param({"consent-attempts": 10**9}, id="absurd attempts"),
        pytest.param({"consent-first-attempt-at": NOW + 7_200_000}, id="far future"),
        pytest.param({"consent-first-attempt-at": -5}, id="before the epoch"),
        pytest.param({"consent-first-attempt-at": "yesterday"}, id="text time"),
        pytest.param({"consent-first-attempt-at": 0}, id="attempts without a time"),
        pytest.param({"consent-elapsed": -1}, id="negative elapsed"),
        pytest.param({"consent-served": "shop"}, id="served without a doubt"),
        pytest.param(SERVED | {"consent-served": ""}, id="nobody served"),
        pytest.param(SERVED | {"consent-served": "a,,b"}, id="a nameless one served"),
        pytest.param(SERVED | {"consent-served": "a b"}, id="no id served"),
        pytest.param(SERVED | {"consent-served": ["shop"]}, id="a list served"),
        pytest.param(SERVED | {"consent-served": ",".join(["shop"] * 300)}, id="too many served"),
        pytest.param({"consent-elapsed": 1.5}, id="fractional elapsed"),
        pytest.param({"consent-replays": -1}, id="negative replays"),
        pytest.param({"consent-repeat": 2}, id="repeated twice"),
        pytest.param({"consent-repeat": True}, id="boolean repeat"),
        pytest.param({"consent-repeat": "1"}, id="text repeat"),
        pytest.param({"consent-integration": None}, id="attempts without an integration"),
        pytest.param({"consent-integration": ""}, id="empty integration"),
        pytest.param({"consent-integration": 7}, id="numeric integration"),
    ],
)
def test_tampered_headers_are_refused_by_name_and_not_by_value(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidHeaders, match=r"consent-[a-z-]+ (must|is required)") as caught:
        read_retry_state(GOOD | change, NOW)
    assert "yesterday" not in str(caught.value)


@given(
    attempts=st.integers(1, 10_000),
    first=st.integers(1, NOW),
    elapsed=st.integers(0, 10**9),
    replays=st.integers(0, 10_000),
    is_repeat=st.booleans(),
)
def test_what_is_written_is_read_back(
    attempts: int, first: int, elapsed: int, replays: int, is_repeat: bool
) -> None:
    state = RetryState("shop", attempts, first, elapsed, replays, is_repeat=is_repeat)
    assert read_retry_state(write_retry_state(state), NOW) == state


def test_a_repeat_is_for_one_integration_and_stays_one_when_it_is_parked() -> None:
    with pytest.raises(InvalidHeaders, match="consent-integration is required"):
        read_retry_state({"consent-repeat": 1}, NOW)
    state = RetryState("shop", is_repeat=True)
    assert write_retry_state(state) == {"consent-integration": "shop", "consent-repeat": 1}
    assert state.parked("shop", 0, None).is_repeat


def test_a_fresh_message_writes_only_what_it_has_to_say() -> None:
    assert write_retry_state(RetryState()) == {}
    assert write_retry_state(RetryState("shop")) == {"consent-integration": "shop"}


def test_the_larger_measure_of_elapsed_time_counts() -> None:
    assert RetryState("a", 1, NOW - 9000, 4000).elapsed_seconds(NOW) == 9
    assert RetryState("a", 1, NOW + 9000, 4000).elapsed_seconds(NOW) == 4
    assert RetryState().elapsed_seconds(NOW) == 0


@pytest.mark.parametrize(
    ("due_at_ms", "late_seconds"),
    [
        pytest.param(NOW - 185_250, 185.25, id="late"),
        pytest.param(NOW, 0, id="at once"),
        pytest.param(NOW + 700, 0, id="early by a rounded delay or another clock"),
        pytest.param(NOW - 31 * 86_400_000, 31 * 86_400, id="after a month"),
        pytest.param(NOW - 32 * 86_400_000, None, id="older than any"),
        pytest.param(NOW + 3_600_001, None, id="far future"),
        pytest.param(0, None, id="the epoch"),
        pytest.param(-1, None, id="before the epoch"),
        pytest.param(True, None, id="boolean"),
        pytest.param(float(NOW), None, id="fraction"),
        pytest.param("yesterday", None, id="text"),
        pytest.param({"a": 1}, None, id="table"),
    ],
)
def test_lateness_is_measured_by_what_is_ours_alone(
    due_at_ms: Any, late_seconds: float | None
) -> None:
    headers = GOOD | {"consent-due-at": due_at_ms}
    assert lateness_seconds(headers, NOW) == late_seconds
    assert read_retry_state(headers, NOW) == read_retry_state(GOOD, NOW), "it does no harm"


EPOCH = "0123456789abcdef"


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(7, id="number"),
        pytest.param(True, id="boolean"),
        pytest.param("", id="empty"),
        pytest.param(EPOCH.upper(), id="capitals"),
        pytest.param(EPOCH + "0", id="too long"),
        pytest.param(EPOCH[:-1] + "\n", id="a line"),
        pytest.param("g" * 16, id="no digits"),
        pytest.param({EPOCH: 1}, id="table"),
        pytest.param([EPOCH], id="list"),
    ],
)
def test_what_is_no_epoch_by_its_shape_counts_as_none_and_does_no_harm(said: Any) -> None:
    headers = GOOD | {"consent-epoch": said}
    assert epoch_in(headers) is None
    assert read_retry_state(headers, NOW) == read_retry_state(GOOD, NOW)


def test_the_epoch_is_that_of_the_first_meeting() -> None:
    fresh = RetryState(epoch="f" * 16)
    assert read_retry_state({}, NOW, fresh) is fresh
    assert read_retry_state(GOOD, NOW, fresh).epoch == "f" * 16
    told = read_retry_state(GOOD | {"consent-epoch": EPOCH}, NOW, fresh)
    assert told.epoch == EPOCH
    assert write_retry_state(told)["consent-epoch"] == EPOCH
    assert told.parked("shop", 0, None).epoch == EPOCH
    assert write_retry_state(fresh) == {"consent-epoch": "f" * 16}


def test_what_was_not_delayed_is_not_late() -> None:
    assert lateness_seconds(GOOD, NOW) is None

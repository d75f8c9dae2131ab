"""The promise of the retry policy, under every jitter, Retry-After, hang and clock skew."""

from hypothesis import given
from hypothesis import strategies as st

from worker.broker.retry_state import RetryState
from worker.delivery.retry_policy import REQUIRED_RETRIES, RetryPolicy

BUDGETS = st.floats(min_value=5, max_value=480)


def _policy(budget: float) -> RetryPolicy:
    return RetryPolicy(budget, budget / 10)


def test_the_default_schedule_is_the_documented_one() -> None:
    policy = _policy(300)
    elapsed = 0.0
    delays: list[float] = []
    while (delay := policy.next_delay(len(delays) + 1, elapsed, jitter=0)) is not None:
        delays.append(delay)
        elapsed += delay
    assert [round(sum(delays[: i + 1])) for i in range(len(delays))] == [5, 20, 50, 110, 200, 290]


@given(
    budget=BUDGETS,
    jitters=st.lists(st.floats(-1, 1), min_size=10, max_size=10),
    hang=st.lists(st.floats(0, 1), min_size=10, max_size=10),
    retry_after=st.lists(
        st.one_of(st.none(), st.floats(0, 1e9), st.floats(0, 300)), min_size=10, max_size=10
    ),
    skew=st.lists(st.integers(-3_600_000, 3_600_000), min_size=10, max_size=10),
)
def test_five_retries_fit_in_the_budget_whatever_happens(
    budget: float,
    jitters: list[float],
    hang: list[float],
    retry_after: list[float | None],
    skew: list[int],
) -> None:
    """Each attempt runs on another worker, whose clock is off by up to an hour."""
    policy = _policy(budget)
    start_ms = 1_800_000_000_000
    true_elapsed = 0.0
    state = RetryState("a")
    starts = []
    for attempt in range(10):
        now = start_ms + int(true_elapsed * 1000) + skew[attempt]
        if not policy.may_attempt(state.attempts_made, state.elapsed_seconds(now)):
            break
        starts.append(true_elapsed)
        took = hang[attempt] * policy.attempt_timeout_seconds
        true_elapsed += took
        state = RetryState(
            "a",
            state.attempts_made + 1,
            state.first_attempt_at_ms or now,
            state.elapsed_ms + round(took * 1000),
        )
        delay = policy.next_delay(
            state.attempts_made,
            state.elapsed_seconds(now + round(took * 1000)),
            jitter=jitters[attempt],
            retry_after_seconds=retry_after[attempt],
        )
        if delay is None:
            break
        assert delay > 0
        true_elapsed += delay
        state = RetryState(
            "a",
            state.attempts_made,
            state.first_attempt_at_ms,
            state.elapsed_ms + round(delay * 1000),
        )
    assert len(starts) - 1 >= REQUIRED_RETRIES
    assert starts[-1] <= budget + 0.01


@given(budget=BUDGETS, jitter=st.floats(-1, 1), asked=st.floats(0, 1e9))
def test_retry_after_is_honoured_up_to_what_lets_five_retries_fit(
    budget: float, jitter: float, asked: float
) -> None:
    policy = _policy(budget)
    delay = policy.next_delay(1, 0.0, jitter=jitter, retry_after_seconds=asked)
    assert delay is not None
    reserve = 4 * (policy.min_gap_seconds + policy.attempt_timeout_seconds)
    latest = budget * 295 / 300 - reserve
    assert delay >= min(asked, latest) - 1e-6


def test_lost_time_never_takes_away_the_five_retries() -> None:
    policy = _policy(300)
    for attempts_made in range(1, 6):
        assert policy.next_delay(attempts_made, 10_000, jitter=0) == policy.min_gap_seconds
        assert policy.may_attempt(attempts_made, 10_000)
    assert policy.next_delay(6, 10_000, jitter=0) is None
    assert not policy.may_attempt(6, 301)
    assert policy.may_attempt(6, 299)


def test_no_retry_follows_the_last_planned_one() -> None:
    assert _policy(300).next_delay(7, 291, jitter=0) is None

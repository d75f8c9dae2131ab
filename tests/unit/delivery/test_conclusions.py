"""What becomes of a delivery, by what its round says of it."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from worker.adobe.replies import Accepted, NoProfile, Permanent, Retryable
from worker.broker.retry_state import RetryState
from worker.delivery.conclusions import (
    DeliveredLate,
    Follows,
    FormRefused,
    NothingToDo,
    SetUpFails,
    SetUpMayFail,
    after_attempt,
    conclude,
    handed_over,
    sent_nothing,
    shows_a_right_setup,
    undelivered,
)
from worker.delivery.outcome import Dead, Failure, Parked, Retried, Skipped
from worker.delivery.retry_policy import RetryPolicy
from worker.delivery.rounds.round_results import (
    Busy,
    Crashed,
    Duplicate,
    Emptied,
    Erased,
    NoChoices,
    Superseded,
    Untried,
)
from worker.delivery.two_clocks import Moment
from worker.reasons import SETUP_ERRORS, DeadReason, ErrorCode, ParkReason, SkipReason
from worker.transform.decision_types import Early, Reject, Skip
from worker.transform.format_rendering import EMPTIED

POLICY = RetryPolicy(300, 30)
NOW = Moment(1_700_000_100_000, 100.0)
TOOK_MS = 2_000
BEGAN = NOW.seconds - 10
"""The delivery has been in this worker for ten seconds, eight of which it waited."""
ATTEMPT_BEGAN = NOW.seconds - TOOK_MS / 1000
FRESH = RetryState("shop")
SPENT = RetryState("shop", 6, NOW.wall_ms - 299_000, 299_000)


@dataclass
class Suspicion:
    """Whether a refusal may be the set-up's fault, whichever text it has."""

    is_wary: bool = False

    def concerns(self, _: str) -> bool:
        return self.is_wary


def _delivery(state: RetryState = FRESH, **said: Any) -> Any:
    choice = SimpleNamespace(attributes=said or {"news": True}, companions={"country"})
    return SimpleNamespace(state=state, began=BEGAN, attempt_began=ATTEMPT_BEGAN, choice=choice)


def _conclude(result: Any, state: RetryState = FRESH, *, is_wary: bool = False) -> Any:
    suspicion: Any = Suspicion(is_wary)
    return conclude(_delivery(state), result, suspicion, POLICY, NOW, 0.0)


AFTER_ONE = RetryState("shop", 1, NOW.wall_ms - TOOK_MS, TOOK_MS)
AWAY = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "503", 503)
REFUSED = Permanent(ErrorCode.ADOBE_REJECTED, "bad value", 400)


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (Superseded(), SkipReason.SUPERSEDED),
        (Duplicate(), SkipReason.DUPLICATE),
        (Emptied(), SkipReason.EMPTIED),
        (NoChoices(), SkipReason.NO_CHOICES),
        (Erased(), SkipReason.ERASED),
        (NoProfile(), SkipReason.NO_PROFILE),
    ],
)
def test_what_needs_nothing_is_skipped_by_name(result: Any, reason: SkipReason) -> None:
    assert _conclude(result) == NothingToDo(reason)


def test_the_copy_of_a_request_that_succeeded_late_is_delivered() -> None:
    assert _conclude(Duplicate(), RetryState("shop", 1, is_handed_over=True)) == DeliveredLate()


def test_of_what_says_nothing_the_request_that_succeeded_late_had_nothing() -> None:
    emptied = _delivery(RetryState("shop", 1, is_handed_over=True), topics=EMPTIED, country="FR")
    suspicion: Any = Suspicion()
    concluded = conclude(emptied, Duplicate(), suspicion, POLICY, NOW, 0.0)
    assert concluded == NothingToDo(SkipReason.EMPTIED)


def test_a_failure_is_tried_again_when_the_schedule_says() -> None:
    follows = _conclude(AWAY)
    assert follows == Follows(
        Retried(5 - TOOK_MS / 1000 + 2, Failure(ErrorCode.ADOBE_UNAVAILABLE, "503", 503)), AFTER_ONE
    )


def test_the_endpoint_s_own_wish_is_honoured() -> None:
    asked = Retryable(ErrorCode.ADOBE_THROTTLED, "429", 429, retry_after_seconds=40)
    assert _conclude(asked).outcome.delay_seconds == 40


def test_without_a_retry_left_it_is_dead_with_the_last_failure() -> None:
    follows = _conclude(AWAY, SPENT)
    failure = Failure(ErrorCode.ADOBE_UNAVAILABLE, "503", 503)
    assert follows.outcome == Dead(DeadReason.RETRIES_EXHAUSTED, failure)
    assert follows.state.attempts_made == SPENT.attempts_made + 1


def test_a_message_that_adobe_refuses_is_dead_at_once() -> None:
    follows = _conclude(REFUSED)
    failure = Failure(ErrorCode.ADOBE_REJECTED, "bad value", 400)
    assert follows == Follows(Dead(DeadReason.ADOBE_REJECTED, failure), AFTER_ONE)


@pytest.mark.parametrize(
    ("state", "kind", "reason"), [(FRESH, Retried, None), (SPENT, Dead, DeadReason.ADOBE_REJECTED)]
)
def test_a_refusal_that_may_be_the_set_up_s_is_tried_again_first(
    state: RetryState, kind: type, reason: DeadReason | None
) -> None:
    concluded = _conclude(REFUSED, state, is_wary=True)
    assert isinstance(concluded, SetUpMayFail)
    assert concluded.reply is REFUSED
    outcome = concluded.otherwise.outcome
    assert type(outcome) is kind
    assert reason is None or (isinstance(outcome, Dead) and outcome.reason == reason)
    assert getattr(outcome, "failure", None) == Failure(REFUSED.error, "bad value", 400)


@pytest.mark.parametrize("error", sorted(SETUP_ERRORS - {ErrorCode.INLET_MISMATCH}))
def test_a_fault_of_the_set_up_counts_no_attempt(error: ErrorCode) -> None:
    reply = Retryable(error, "refused")
    assert _conclude(reply) == SetUpFails(reply)


def test_a_form_that_adobe_does_not_take_is_told_as_that() -> None:
    reply = Retryable(ErrorCode.INLET_MISMATCH, "unknown xdm format")
    assert _conclude(reply) == FormRefused(reply)


def test_a_bug_of_ours_is_a_dead_letter_that_names_it() -> None:
    failure = Failure(DeadReason.UNEXPECTED_ERROR, "KeyError")
    expected = Follows(Dead(DeadReason.UNEXPECTED_ERROR, failure), AFTER_ONE)
    assert _conclude(Crashed("KeyError")) == expected


def test_an_event_whose_user_another_worker_holds_waits_without_an_attempt() -> None:
    follows = _conclude(Busy(7.0, False))
    assert follows.state == FRESH
    assert follows.outcome == Parked(7.375, ParkReason.BUSY)


@pytest.mark.parametrize("result", [Accepted("1"), Untried()])
def test_what_needs_no_conclusion_gets_none(result: Any) -> None:
    with pytest.raises(AssertionError):
        _conclude(result)


@pytest.mark.parametrize(
    ("decision", "outcome"),
    [
        (Skip(SkipReason.GUEST), Skipped(SkipReason.GUEST)),
        (Early(9.0), Parked(10.0, ParkReason.NOT_YET)),
        (Early(9_000.0), Parked(256.0, ParkReason.NOT_YET)),
        (
            Reject(DeadReason.INVALID_EVENT, "id: is required"),
            Dead(DeadReason.INVALID_EVENT, Failure(DeadReason.INVALID_EVENT, "id: is required")),
        ),
    ],
)
def test_what_says_nothing_to_be_sent_now(decision: Any, outcome: Any) -> None:
    assert undelivered(decision) == outcome


def test_of_the_first_attempt_only_the_attempt_counts() -> None:
    assert after_attempt(_delivery(), NOW) == AFTER_ONE


def test_of_a_later_attempt_waiting_for_it_counts_too() -> None:
    before = RetryState(
        *("shop", 2, 1_700_000_000_000, 60_000, 1, 3, 500, 1_700_000_001_000),
        is_handed_over=True,
        served=("other",),
        epoch="e",
    )
    assert after_attempt(_delivery(before), NOW) == RetryState(
        "shop", 3, 1_700_000_000_000, 70_000, 1, 3, 500, None, epoch="e"
    )


def test_what_is_handed_over_is_due_when_its_request_would_time_out_and_a_pause_later() -> None:
    follows = handed_over(_delivery(), POLICY, NOW, 0.0)
    assert follows is not None
    assert isinstance(follows.outcome, Retried)
    assert follows.outcome.delay_seconds == 28 + 5
    assert follows.state == AFTER_ONE


def test_a_request_that_is_late_already_is_followed_by_the_pause_alone() -> None:
    late: Any = SimpleNamespace(state=FRESH, began=NOW.seconds - 45, attempt_began=NOW.seconds - 45)
    follows = handed_over(late, POLICY, NOW, 0.0)
    assert follows is not None
    assert isinstance(follows.outcome, Retried)
    assert follows.outcome.delay_seconds == 5


def test_the_last_attempt_is_not_handed_over() -> None:
    assert handed_over(_delivery(SPENT), POLICY, NOW, 0.0) is None


@pytest.mark.parametrize(
    ("result", "is_right"),
    [
        (Accepted("1"), True),
        (NoProfile(), True),
        (REFUSED, True),
        (Permanent(ErrorCode.ADOBE_REJECTED, "wrong ims org", 400, "set-up"), False),
        (Permanent(ErrorCode.ADOBE_REJECTED, "unknown xdm format", 400, "ambiguous"), False),
        (AWAY, False),
        (Superseded(), False),
    ],
)
def test_what_shows_that_the_set_up_is_right(result: Any, is_right: bool) -> None:
    assert shows_a_right_setup(result) is is_right


@pytest.mark.parametrize(
    ("result", "is_nothing"),
    [
        *[(one, True) for one in (Superseded(), Duplicate(), Emptied(), NoChoices(), Erased())],
        (Busy(1.0, True), True),
        *[(one, False) for one in (AWAY, REFUSED, NoProfile(), Accepted(None), Crashed("X"))],
    ],
)
def test_what_says_nothing_of_the_set_up(result: Any, is_nothing: bool) -> None:
    assert sent_nothing(result) is is_nothing

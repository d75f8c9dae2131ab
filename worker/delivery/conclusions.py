"""What becomes of a delivery, by what its round says of it. Pure: it returns, others act."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

from worker.adobe.replies import Accepted, NoProfile, Permanent, Retryable
from worker.broker.retry_state import RetryState
from worker.delivery.delivery import Delivery
from worker.delivery.lanes.block import SetupSuspicion
from worker.delivery.outcome import NO_ANSWER_YET, Dead, Failure, Parked, Retried, Skipped
from worker.delivery.park_delays import LONGEST_HOLD_SECONDS, busy_seconds
from worker.delivery.retry_policy import RetryPolicy
from worker.delivery.rounds.round_results import (
    Busy,
    Crashed,
    Duplicate,
    Emptied,
    Erased,
    NoChoices,
    Result,
    Superseded,
    Untried,
)
from worker.delivery.two_clocks import Moment
from worker.reasons import SETUP_ERRORS, DeadReason, ErrorCode, ParkReason, SkipReason
from worker.transform.decision_types import Deliver, Early, Reject, Skip
from worker.transform.format_rendering import is_silent

_SKIP_REASONS: Final[dict[type, SkipReason]] = {
    Superseded: SkipReason.SUPERSEDED,
    Duplicate: SkipReason.DUPLICATE,
    Emptied: SkipReason.EMPTIED,
    NoChoices: SkipReason.NO_CHOICES,
    Erased: SkipReason.ERASED,
    NoProfile: SkipReason.NO_PROFILE,
}
_SENT_NOTHING: Final = (Superseded, Duplicate, Emptied, NoChoices, Erased, Busy)


class NothingToDo(NamedTuple):
    """A delivery is done without a message to Adobe, or by an earlier one."""

    reason: SkipReason


class DeliveredLate(NamedTuple):
    """The request that a delivery was handed over from succeeded after all."""


class Follows(NamedTuple):
    """A delivery has a successor; `state` is its retry state before the outcome."""

    outcome: Retried | Parked | Dead
    state: RetryState


class SetUpFails(NamedTuple):
    """The set-up of a delivery's integration is at fault."""

    reply: Retryable | Permanent


class SetUpMayFail(NamedTuple):
    """Either a delivery's message or the set-up is at fault; `otherwise` follows if the message."""

    reply: Permanent
    otherwise: Follows


class FormRefused(NamedTuple):
    """Adobe does not take the form in which a delivery was sent."""

    reply: Retryable


Conclusion = NothingToDo | DeliveredLate | Follows | SetUpFails | SetUpMayFail | FormRefused


def conclude(  # noqa: C901 - a table
    delivery: Delivery,
    result: Result,
    suspicion: SetupSuspicion,
    policy: RetryPolicy,
    moment: Moment,
    jitter: float,
) -> Conclusion:
    """What becomes of a delivery that Adobe has not accepted; `jitter` is in [-1, 1]."""
    match result:
        case Duplicate() if delivery.state.is_handed_over and not delivery.state.is_repeat:
            if says_nothing(delivery.choice):
                return NothingToDo(SkipReason.EMPTIED)
            # Told only now: told then, there would be a second outcome where a newer choice comes
            # between, or the stamp is lost.
            return DeliveredLate()
        case Superseded() | Duplicate() | Emptied() | NoChoices() | Erased() | NoProfile():
            return NothingToDo(_SKIP_REASONS[type(result)])
        case Busy(wait_seconds, is_held):
            seconds = busy_seconds(delivery.state.parks, wait_seconds, is_held, jitter)
            return Follows(Parked(seconds, ParkReason.BUSY), delivery.state)
        case Permanent(error, detail, http_status, fault=fault) if suspicion.concerns(fault):
            again = Retryable(error, detail, http_status)
            otherwise = _retried(delivery, again, policy, moment, jitter, DeadReason.ADOBE_REJECTED)
            return SetUpMayFail(result, otherwise)
        case Permanent(error, detail, http_status):
            failure = Failure(error, detail, http_status)
            return Follows(
                Dead(DeadReason.ADOBE_REJECTED, failure), after_attempt(delivery, moment)
            )
        case Retryable(ErrorCode.INLET_MISMATCH):
            return FormRefused(result)
        case Retryable(error) if error in SETUP_ERRORS:
            return SetUpFails(result)
        case Retryable():
            return _retried(delivery, result, policy, moment, jitter, DeadReason.RETRIES_EXHAUSTED)
        case Crashed(name):
            failure = Failure(DeadReason.UNEXPECTED_ERROR, name)
            return Follows(
                Dead(DeadReason.UNEXPECTED_ERROR, failure), after_attempt(delivery, moment)
            )
        case Accepted() | Untried():
            raise AssertionError("no conclusion is needed")


def says_nothing(choice: Deliver) -> bool:
    """Whether all that an event says is that choices are taken back in silence."""
    said = [value for path, value in choice.attributes.items() if path not in choice.companions]
    return bool(said) and all(map(is_silent, said))


def undelivered(decision: Skip | Early | Reject) -> Skipped | Parked | Dead:
    """What becomes of an event that says nothing to be sent now."""
    match decision:
        case Skip(reason):
            return Skipped(reason)
        case Early(seconds):  # its producer's clock is fast, or ours is slow
            return Parked(min(seconds + 1, LONGEST_HOLD_SECONDS), ParkReason.NOT_YET)
        case Reject(reason, detail):
            return Dead(reason, Failure(reason, detail))


def handed_over(
    delivery: Delivery, policy: RetryPolicy, moment: Moment, jitter: float
) -> Follows | None:
    """What follows if the request of a delivery has no answer at all: published now, it need not
    stay in hand until the request's time is over. None if no retry is left.
    """
    made = after_attempt(delivery, moment)
    limit = policy.attempt_timeout_seconds
    remaining = max(0.0, delivery.attempt_began + limit - moment.seconds)
    delay = policy.next_delay(
        made.attempts_made, made.elapsed_seconds(moment.wall_ms) + remaining, jitter=jitter
    )
    return Follows(Retried(remaining + delay, NO_ANSWER_YET), made) if delay is not None else None


def given_back(delivery: Delivery, policy: RetryPolicy, moment: Moment, jitter: float) -> Follows:
    """What follows when the worker stops while a delivery is in a round. The copy looks for its
    stamp when the attempt is over for certain: also a repeat, which is sent again in any case, and
    what has no retry left, which is given up then unless it was accepted.
    """
    over_in = max(0.0, delivery.attempt_began + policy.attempt_timeout_seconds - moment.seconds)
    if not delivery.was_sent:
        # Its round sends it no more, and holds its user until it has found that.
        seconds = busy_seconds(delivery.state.parks, over_in, True, jitter)
        return Follows(Parked(seconds, ParkReason.BUSY), delivery.state)
    found = handed_over(delivery, policy, moment, jitter)
    if found is not None:
        return found
    seconds = over_in + policy.min_gap_seconds
    return Follows(Retried(seconds, NO_ANSWER_YET), after_attempt(delivery, moment))


def after_attempt(delivery: Delivery, moment: Moment) -> RetryState:
    """A retry state with one more attempt made; after the first, waiting for one counts too. What
    was under way before it is over: only what was handed over since, or returned, may be open.
    """
    state = delivery.state
    since = delivery.began if state.attempts_made else delivery.attempt_began
    took_ms = round((moment.seconds - since) * 1000)
    return replace(
        state,
        attempts_made=state.attempts_made + 1,
        first_attempt_at_ms=state.first_attempt_at_ms or moment.wall_ms - took_ms,
        elapsed_ms=state.elapsed_ms + took_ms,
        blocked_since_ms=None,
        is_handed_over=False,
        was_returned=False,
        served=(),
    )


def told_as_accepted(delivery: Delivery, result: Accepted) -> list[tuple[Delivery, Accepted]]:
    """What is told of a late success: a repeat was accepted long before."""
    return [] if delivery.state.is_repeat else [(delivery, result)]


def shows_a_right_setup(result: Result) -> bool:
    """Whether by a result Adobe accepted or judged the message itself, or knows of the person."""
    return isinstance(result, (Accepted, NoProfile)) or (
        isinstance(result, Permanent) and result.fault == "message"
    )


def sent_nothing(result: Result) -> bool:
    """Whether nothing was sent for a delivery, so that its result says nothing of the set-up."""
    return isinstance(result, _SENT_NOTHING)


def _retried(
    delivery: Delivery,
    reply: Retryable,
    policy: RetryPolicy,
    moment: Moment,
    jitter: float,
    dead_reason: DeadReason,
) -> Follows:
    """A retry, or a dead letter where none is left."""
    failure = Failure(reply.error, reply.detail, reply.http_status)
    made = after_attempt(delivery, moment)
    delay = policy.next_delay(
        made.attempts_made,
        made.elapsed_seconds(moment.wall_ms),
        jitter=jitter,
        retry_after_seconds=reply.retry_after_seconds,
    )
    outcome = Dead(dead_reason, failure) if delay is None else Retried(delay, failure)
    return Follows(outcome, made)

"""How deliveries end that were in a request: acts on the conclusions of rounds, and on blocks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.broker.retry_state import RetryState
from worker.delivery.conclusions import (
    Conclusion,
    DeliveredLate,
    Follows,
    FormRefused,
    NothingToDo,
    SetUpFails,
    SetUpMayFail,
    conclude,
    given_back,
    handed_over,
    sent_nothing,
    shows_a_right_setup,
    told_as_accepted,
)
from worker.delivery.delivery import Delivery
from worker.delivery.faults import Faults
from worker.delivery.lanes.lane import Lane
from worker.delivery.outcome import (
    Dead,
    Failure,
    Observer,
    Parked,
    RepeatEnd,
    Retried,
    Skipped,
)
from worker.delivery.park_delays import asking_seconds
from worker.delivery.pipeline_limits import PipelineLimits
from worker.delivery.receipting import Receipting
from worker.delivery.retry_policy import RetryPolicy
from worker.delivery.rounds.contained_faults import contain
from worker.delivery.rounds.round_results import Result
from worker.delivery.successors import Successors, state_after
from worker.delivery.two_clocks import Moment
from worker.reasons import DeadReason, ErrorCode, ParkReason

Early = Callable[[Delivery, RetryPolicy, Moment, float], Follows | None]


class Endings:
    """Ends deliveries that were in a request. `form_refused` is called with a delivery whose form
    Adobe does not take; `jitter` gives a number in [-1, 1].
    """

    def __init__(
        self,
        successors: Successors,
        faults: Faults,
        policy: RetryPolicy,
        limits: PipelineLimits,
        observer: Observer,
        receipting: Receipting,
        now: Callable[[], Moment],
        jitter: Callable[[], float],
    ) -> None:
        self._successors = successors
        self._faults = faults
        self._policy = policy
        self._limits = limits
        self._observer = observer
        self._receipting = receipting
        self._now = now
        self._jitter = jitter
        self.form_refused: Callable[[Lane, Delivery, Retryable], None] = self.block

    def conclude(self, lane: Lane, results: list[tuple[Delivery, Result]]) -> None:
        """Act on the results of one round. A fault of ours ends its own event alone, and what is
        told of all of them afterwards ends none a second time.
        """
        accepted: list[tuple[Delivery, Accepted]] = []
        accepted_late: list[tuple[Delivery, Accepted]] = []
        # One for all, so that what was sent together is due together, and fits one request again.
        jitter = self._jitter()
        at_ms = self._now().wall_ms
        for delivery, result in results:
            try:
                if not isinstance(result, Accepted):
                    self._end_unaccepted(lane, delivery, result, jitter)
                    continue
                lane.suspicion.accepted()
                if delivery.is_handed_over:
                    lane.confirming.accepted_late(delivery)
                    accepted_late += told_as_accepted(delivery, result)
                    continue
                made = delivery.state.attempts_made + 1
                done = self._receipting.delivered(delivery, result, made, at_ms)
                if delivery.state.is_repeat:
                    self._pass(delivery, "repeated")
                    self._done(lane, delivery, done)
                    continue
                if delivery.repeat_seconds is None:  # nearly always
                    done()
                else:
                    self._done(lane, delivery, done)
                accepted.append((delivery, result))
            except Exception as error:
                self._faults.bury(lane, delivery, error)
        integration = lane.integration
        if accepted:
            contain(integration, self._observer.delivered, integration.id, accepted)
        if accepted_late:
            contain(integration, self._observer.accepted_late, integration.id, accepted_late)
        if lane.block.is_on:
            contain(integration, self._look_at_block, lane, [result for _, result in results])

    def hand_over(self, lane: Lane, deliveries: list[Delivery]) -> None:
        """The request of `deliveries` has had no answer for long: publish what would follow if it
        had none at all. What has no retry left stays, and so does what meets a fault of ours.
        """
        self._follow_early(lane, deliveries, handed_over)

    def give_back(self, lane: Lane, deliveries: list[Delivery]) -> None:
        """The worker stops, and `deliveries` are in a round that is not over: publish what follows,
        so that nothing of them is in hand. What meets a fault of ours stays.
        """
        self._follow_early(lane, deliveries, given_back)

    def decide_anew(
        self, lane: Lane, delivery: Delivery, reason: ParkReason = ParkReason.UNKNOWN_INLET
    ) -> None:
        """Park a delivery whose form or content is not right any more, or not known to be: it comes
        back in a moment, and is decided anew.
        """
        outcome = Parked(asking_seconds(delivery.state.parks), reason)
        self._follow(lane, delivery, Follows(outcome, delivery.state))

    def block(self, lane: Lane, delivery: Delivery, reply: Retryable | Permanent) -> None:
        """An integration's set-up is at fault: begin its block or go on with it; park the event."""
        failure = Failure(reply.error, reply.detail, reply.http_status)
        if lane.block.failed(failure, time.monotonic()):
            self._observer.blocked(lane.integration.id, failure)
        self.park_for_block(lane, delivery)

    def park_for_block(self, lane: Lane, delivery: Delivery) -> None:
        """Park an event of a blocked integration, or give it up if it has waited for too long."""
        state, moment = delivery.state, self._now()
        failure = lane.block.failure or Failure(ErrorCode.ADOBE_REFUSED, "")
        if self._limits.is_out_of_patience(state, moment.wall_ms):
            self._follow(lane, delivery, Follows(Dead(DeadReason.SETUP_FAILURE, failure), state))
            return
        delay = lane.block.parking_delay(state.parks, moment.seconds)
        since = replace(state, blocked_since_ms=state.blocked_since_ms or moment.wall_ms)
        self._follow(lane, delivery, Follows(Parked(delay, ParkReason.BLOCKED, failure), since))

    def _end_unaccepted(
        self, lane: Lane, delivery: Delivery, result: Result, jitter: float
    ) -> None:
        if not delivery.is_handed_over:  # or its outcome is left to its successor
            found = conclude(delivery, result, lane.suspicion, self._policy, self._now(), jitter)
            self._act(lane, delivery, found)

    def _act(self, lane: Lane, delivery: Delivery, found: Conclusion) -> None:
        match found:
            case NothingToDo(reason):
                done = self._receipting.skipped(delivery, reason, self._now().wall_ms)
                self._pass(delivery, reason)
                self._done(lane, delivery, done)
            case DeliveredLate():
                made, at_ms = delivery.state.attempts_made, self._now().wall_ms
                done = self._receipting.delivered(delivery, None, made, at_ms)
                self._observer.delivered_late(lane.integration.id, delivery)
                self._done(lane, delivery, done)
            case Follows():
                self._follow(lane, delivery, found)
            case SetUpMayFail(reply, otherwise):
                # It is tried again until so many are refused that the integration is blocked, and
                # no event is dead for it.
                if lane.suspicion.refused(delivery.user) or lane.block.is_on:
                    self.block(lane, delivery, reply)
                else:
                    self._follow(lane, delivery, otherwise)
            case SetUpFails(reply):
                self.block(lane, delivery, reply)
            case FormRefused(reply):
                self.form_refused(lane, delivery, reply)

    def _look_at_block(self, lane: Lane, results: list[Result]) -> None:
        """What the answers that a blocked lane got say of its set-up."""
        if any(shows_a_right_setup(one) for one in results):
            lane.block.end()
            self._observer.unblocked(lane.integration.id)
            return
        if all(sent_nothing(one) for one in results):
            lane.block.probe_was_inconclusive(time.monotonic())
        for delivery in lane.take_all_waiting():
            self._faults.end_safely(self.park_for_block, lane, delivery)

    def _follow_early(self, lane: Lane, deliveries: list[Delivery], what_follows: Early) -> None:
        jitter = self._jitter()
        for delivery in deliveries:
            try:
                found = what_follows(delivery, self._policy, self._now(), jitter)
                if found is not None:
                    self._follow(lane, delivery, found)
                    delivery.is_handed_over = True
            except Exception:
                self._faults.note(lane, delivery)

    def _follow(self, lane: Lane, delivery: Delivery, found: Follows) -> None:
        """Tell of an outcome, and publish its successor; the receipt follows when that is there."""
        outcome, state = found
        due_at = None
        if isinstance(outcome, Retried):
            # And a moment more, until it is here again or with another worker.
            late = self._policy.min_gap_seconds
            due_at = time.monotonic() + outcome.delay_seconds + late
        integration_id = delivery.integration.id
        seconds = time.monotonic() - delivery.began
        after = state_after(state, outcome, integration_id)
        receipted = self._receipting.followed(delivery, outcome, state, self._now().wall_ms)
        self._observer.outcome(integration_id, outcome, seconds, delivery.choice.event_id)
        confirmed = lane.confirming.add(delivery, receipted, due_at)
        config = delivery.integration.version
        self._successors.follow(delivery.message, after, outcome, confirmed, config)

    def _done(self, lane: Lane, delivery: Delivery, done: Callable[[], None]) -> None:
        """Call `done` at once; or, of what is to be repeated, when a copy is confirmed that comes
        back when no older choice can be carried out any more.
        """
        seconds = delivery.repeat_seconds
        if seconds is None:
            done()
            return
        integration_id = lane.integration.id
        self._observer.repeat_planned(integration_id, delivery.choice.event_id, seconds)
        state = delivery.state
        again = RetryState(integration_id, replays=state.replays, epoch=state.epoch, is_repeat=True)
        confirmed = lane.confirming.add(delivery, done)
        self._successors.repeat(delivery.message, again, seconds, confirmed)

    def _pass(self, delivery: Delivery, end: RepeatEnd) -> None:
        """Tell that nothing is to be done; or how a repeat ended, which is no second outcome."""
        integration_id, event_id = delivery.integration.id, delivery.choice.event_id
        seconds = time.monotonic() - delivery.began
        if delivery.state.is_repeat:
            self._observer.repeat_ended(integration_id, event_id, end, seconds)
        elif end != "repeated":
            self._observer.outcome(integration_id, Skipped(end), seconds, event_id)

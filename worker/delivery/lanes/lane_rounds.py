"""The rounds of a lane: what their results tell of the endpoint, and what waits on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from worker.adobe.replies import Accepted
from worker.delivery.delivery import Delivery
from worker.delivery.lanes.endpoint_health import HAND_OVER_SHARE, EndpointHealth
from worker.delivery.lanes.events_in_hand import Batch, held_of
from worker.delivery.lanes.lane_state import (
    LaneActs,
    LaneState,
    Results,
    SharedParts,
    may_wait_on,
)
from worker.delivery.rounds.contained_faults import contain, crashed
from worker.delivery.rounds.gap_lengths import gaps_of
from worker.delivery.rounds.request_slots import RequestSlots
from worker.delivery.rounds.round_results import Crashed, Untried
from worker.forgiving_timers import Patience
from worker.integrations.model import Integration
from worker.ordering.store_protocol import StoreUnavailable

log = structlog.get_logger(__name__)


class LaneRounds:
    """Runs the rounds of a lane, which `LaneRequests` begins."""

    def __init__(self, state: LaneState, shared: SharedParts, acts: LaneActs) -> None:
        self._state = state
        self._shared = shared
        self._acts = acts
        self._loop = asyncio.get_running_loop()
        self.slots = RequestSlots(state.integration.limits.requests_in_flight)

    def begin(self, batch: Batch, then: Callable[[], None]) -> None:
        """A round of the lane with this batch, under way from now; `then` others may begin."""
        # What is in force now: another one may be when the task has its first turn, or ends.
        task = asyncio.create_task(self._round(self._state.integration, batch, then))
        self._state.under_way.keep(task)

    async def _round(
        self, integration: Integration, batch: Batch, then: Callable[[], None]
    ) -> None:
        state, shared = self._state, self._shared
        epoch = state.window.epoch
        began = self._loop.time()
        answer = _AwaitedAnswer(self, batch, state.health, shared.pauses.attempt_seconds)
        try:
            results = await shared.runner.deliver(integration, batch, self.slots)
        except StoreUnavailable as problem:
            state.under_way.end(batch)
            shared.gate.close(problem, integration.state_id)
            self._put_back(integration, batch, then)
            return
        except Exception as error:  # a bug: its events become dead letters, and others go on
            log.exception("lane.unexpected_error", integration=integration.id)
            results = [(one, Crashed(type(error).__name__)) for group in batch for one in group]
        finally:
            answer.cancel()
        # Each by itself: a bug in one is not to cost an event its end, or the lane a request.
        results = self._without_untried(integration, results)
        contain(integration, self._learn, integration, batch, results, began, epoch)
        contain(integration, self._begin_gaps, integration, batch, results)
        contain(integration, self._acts.conclude, results)
        state.under_way.end(batch)
        oldest = state.waiting.oldest
        if oldest is not None and any(oldest in group for group in batch):
            state.waiting.watch_next()
        then()

    def _learn(
        self, integration: Integration, batch: Batch, results: Results, began: float, epoch: int
    ) -> None:
        """What a round tells of its endpoint; `epoch` is that of the window when it began."""
        state, shared, first = self._state, self._shared, batch[0][0]
        if first.is_suspect and not first.is_handed_over:
            shared.suspects.held(integration.id, self._loop.time() - began)
        in_flight = state.under_way.requests
        # Not longer than an attempt: what a round waits for besides is no answer of the endpoint.
        began = max(began, self._loop.time() - shared.pauses.attempt_seconds)
        if state.health.learn(results, began, shared.pauses.longest_rest_seconds):
            state.window.overloaded(epoch)
            if len(batch) > 1 and any(one.is_handed_over for group in batch for one in group):
                state.health.was_too_late()
        else:
            state.window.succeeded(in_flight)
        state.health.throughput.count(len(results))

    def _put_back(self, integration: Integration, batch: Batch, then: Callable[[], None]) -> None:
        """Nothing was sent of a round that began while `integration` was in force: it waits on, but
        for what was handed over, which an earlier round has sent.
        """
        state = self._state
        now = time.monotonic()
        waiting: Batch = []
        for group in batch:
            left = [one for one in group if not one.is_handed_over]
            if left:
                waiting.append(left)
            else:
                state.waiting.gaps.begin(group[0].user, 0.0, now)
        batch = waiting
        if may_wait_on(integration, state.integration):
            state.waiting.put_back(batch)
            state.drop_returned()
            return
        for group in batch:
            state.waiting.gaps.begin(group[0].user, 0.0, now)
            for delivery in group:
                if delivery.message.is_ours:
                    self._acts.release(delivery)
        then()  # the state of now may be there, and what waited behind them goes

    def _begin_gaps(self, integration: Integration, batch: Batch, results: Results) -> None:
        # Not the loop's time, which may lag: the store's gap began before, and must end before.
        now = time.monotonic()
        after_success, after_failure = gaps_of(integration, self._shared.pauses.attempt_seconds)
        accepted: set[str] = set()
        if after_success != after_failure:
            accepted = {one.user for one, result in results if isinstance(result, Accepted)}
        for group in batch:
            user = group[0].user
            gap = after_success if user in accepted else after_failure
            self._state.waiting.gaps.begin(user, gap, now)

    def _without_untried(self, integration: Integration, results: Results) -> Results:
        """The results without what has had no request of its own, which goes on waiting, unless the
        broker has it again. Adobe may have seen it with others of its person: then it is begun, and
        is not given up for want of room.
        """
        untried = [delivery for delivery, result in results if isinstance(result, Untried)]
        if not untried:
            return results
        waits_on = may_wait_on(integration, self._state.integration)
        tried = [one for one in results if not isinstance(one[1], Untried)]
        for delivery in untried:
            if delivery.is_handed_over or not delivery.message.is_ours:
                continue  # it is left to its successor, or to whoever has it now
            delivery.is_due |= delivery.was_sent
            try:
                (self._state.waiting.put_behind if waits_on else self._acts.release)(delivery)
            except Exception as error:
                tried.append((delivery, crashed(integration, error)))
        return tried

    def lose_patience(self, batch: Batch) -> None:
        """The lane's endpoint hangs, as it seems: what is in the request is not to keep
        acknowledgements from covering ranges for the rest of its time.
        """
        sent = [one for group in batch for one in group if _may_be_handed_over(one)]
        self._let_go(batch, sent, self._acts.hand_over)
        if sent and batch[0][0].is_suspect:
            # It may be slow and living; nobody waits behind it but other suspects.
            seconds = self._shared.pauses.attempt_seconds * HAND_OVER_SHARE
            self._shared.suspects.held(self._state.integration.id, seconds)
        elif sent:
            self._state.health.lost_patience()
            if self._state.waiting.oldest in sent:
                self._state.waiting.watch_next()

    def give_back(self) -> None:
        """The worker stops: have nothing in hand of what is in requests, or is to be."""
        for batch in self._state.under_way.batches:
            held = [one for group in batch for one in group if not one.is_handed_over]
            ours = [one for one in held if one.message.is_ours]
            self._let_go(batch, ours, self._acts.give_back)

    def _let_go(
        self, batch: Batch, some: list[Delivery], act: Callable[[list[Delivery]], None]
    ) -> None:
        held_before = held_of(batch)
        act(some)
        self._state.under_way.hand_over(held_before - held_of(batch))


class _AwaitedAnswer:
    """Waits for the answer of one request, and does what is to be done while there is none."""

    def __init__(
        self, rounds: LaneRounds, batch: Batch, health: EndpointHealth, attempt_seconds: float
    ) -> None:
        self._rounds = rounds
        self._batch = batch
        sources = {one.message.source for group in batch for one in group}
        self._taken_before = [(one, one.taken) for one in sources]
        is_suspect = batch[0][0].is_suspect
        self._seconds = health.hand_over_seconds(attempt_seconds, is_suspect=is_suspect)
        # Sooner, as a rule, where many come behind it; but not while an answer is to find a fault.
        early = self._seconds if health.awaits_faults else health.still_seconds
        self._early_seconds = min(early, self._seconds)
        self._patience = Patience(self._early_seconds, self._look_behind)

    def cancel(self) -> None:
        """It is there, or none will come."""
        self._patience.cancel()

    def _look_behind(self) -> None:
        # Where others come thick and fast, each of them now has an acknowledgement of its own.
        if any(one.taken - before >= one.room for one, before in self._taken_before):
            self._rounds.lose_patience(self._batch)
        else:
            left = self._seconds - self._early_seconds
            self._patience = Patience(left, self._rounds.lose_patience, self._batch)


def _may_be_handed_over(delivery: Delivery) -> bool:
    # A suspect, too: what takes its worker down does so long before this.
    # A repeat finds no end by its stamp, as the copy of another event does: it would be sent again.
    may = delivery.was_sent and not (delivery.is_handed_over or delivery.state.is_repeat)
    return may and delivery.message.is_ours

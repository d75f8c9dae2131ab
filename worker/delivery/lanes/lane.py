"""The lane of one integration: what waits for it, in which order it goes, and how much at once.

A lane sends as soon as a request slot is free, and then everything that waits, up to the limits of
one request: an idle lane sends a single event at once, and a busy one fills its batches by itself.
A worker that gets many events lets a request that is not full wait for company, see `RequestPace`.

All events of one user that wait go as one message, and a user has at most one message under way,
with a gap after it (Adobe may resolve two quick ones either way round).

What is due, because an attempt was made before, goes in requests of its own, and goes first. It
keeps its schedule whatever the endpoint does, so the lane begins no more than it can carry through
(see `Begun`); and while the endpoint fails, due events find out whether it is back.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

import structlog

from worker.adobe.replies import Accepted, Retryable
from worker.adobe.streaming import takes_batches
from worker.broker.intake import Intake
from worker.delivery.delivery import Delivery
from worker.delivery.lanes.aimd import AimdWindow
from worker.delivery.lanes.begun import Begun
from worker.delivery.lanes.block import Block
from worker.delivery.lanes.pacing import RequestPace
from worker.delivery.lanes.setup_suspicion import SetupSuspicion
from worker.delivery.lanes.throughput import Throughput
from worker.delivery.lanes.waiting import Groups, Waiting
from worker.delivery.rounds.gaps import gaps_of
from worker.delivery.rounds.request_slots import RequestSlots
from worker.delivery.rounds.results import Crashed, Result, Untried
from worker.delivery.rounds.store_gate import StoreGate
from worker.integrations.model import Integration
from worker.ordering.store import StoreUnavailable
from worker.patience import Patience

log = structlog.get_logger(__name__)

OVERLOAD: Final = frozenset(
    {"adobe-throttled", "adobe-unavailable", "connection-failed", "timeout", "token-unavailable"}
)
"""Errors that say that the endpoint has too much to do, or is away."""
KEEPS_UP_SECONDS: Final = 0.5
"""How long an event may be in a lane that keeps up, whatever the lane has done lately."""
STILL_SECONDS: Final = 1.0
STILL_ROUND_TRIPS: Final = 3
"""Without an answer for so long, and for so many round trips, a lane with requests in flight stands
still."""
_LEARNING: Final = 0.25
"""Weight of the last round trip in their average."""
FAILS_AFTER: Final = 2
"""So many answers of an endpoint in trouble in a row, and nothing is begun but probes."""
HAND_OVER_SHARE: Final = 0.1
"""Of an attempt's time limit: after that without an answer its events are handed over."""
_COMPANY_SHARE: Final = 1 / 30
"""Of the same: so long do due events of a failing endpoint wait for those due with them."""
_NEXT_LOOK_SECONDS: Final = 1.0
DRAIN_SECONDS: Final = 4.0
"""What a lane that keeps up holds is gone after so long at its recent pace."""
_BATCH_BYTES: Final = 900_000
"""Bytes of events in one request. A message is mostly smaller than its event; where it isn't, the
courier splits."""


class Rounds(Protocol):
    """Makes one round; see `Courier`."""

    async def deliver(
        self, integration: Integration, groups: list[list[Delivery]], slots: RequestSlots
    ) -> list[tuple[Delivery, Result]]: ...


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds: what bounds an attempt, how long a Retry-After may hold a lane (the delays of
    retries honour it further), and what lies between two probes of a failing endpoint at least.
    """

    attempt: float
    longest_rest: float
    probe: float


class Lane:
    """`conclude` is called with the lane and the results of each round, and `hand_over` with what
    has had no answer for long, of which it marks what is handed over. At most
    `max_events_in_flight` are in requests and in hand at a time, since these can't be parked.
    """

    def __init__(
        self,
        integration: Integration,
        *,
        rounds: Rounds,
        gate: StoreGate,
        pace: RequestPace,
        block: Block,
        begun: Begun,
        conclude: Callable[[Lane, list[tuple[Delivery, Result]]], None],
        hand_over: Callable[[Lane, list[Delivery]], None],
        pauses: Pauses,
        max_events_in_flight: int,
    ) -> None:
        self.integration = integration
        self.block = block
        self.suspicion = SetupSuspicion()
        self._pauses = pauses
        self._max_events_in_flight = max_events_in_flight
        self._rounds = rounds
        self._gate = gate
        self._pace = pace
        self._begun = begun
        self._conclude = conclude
        self._hand_over = hand_over
        self._waiting = Waiting()
        self._window = AimdWindow(integration.limits.requests_in_flight)
        self._request_slots = RequestSlots(integration.limits.requests_in_flight)
        self._in_flight = 0
        self._messages_in_flight = 0
        self._events_in_flight = 0
        self._failures = 0
        self._is_throttled = False
        self._started_at = -math.inf
        self._due_since = 0.0
        self._next_request_at = 0.0
        self._slot: float | None = None
        self._resting_until = 0.0
        self._round_trip = 0.0
        self._rounds_under_way: dict[asyncio.Task[None], list[list[Delivery]]] = {}
        self._oldest: Delivery | None = None
        self._confirming: dict[Delivery, float] = {}
        self._pump_is_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._throughput = Throughput(self._loop.time)

    # What it has, and how it does

    @property
    def window(self) -> int:
        """Requests of fresh events that may be in flight now."""
        return self._window.size

    @property
    def held(self) -> int:
        """Events in hand: those that wait, and those in requests that are not handed over."""
        return self._waiting.events + self._events_in_flight

    @property
    def waiting(self) -> int:
        """Fresh events held that are in no request."""
        return self._waiting.events - self._waiting.due_events

    @property
    def occupied(self) -> int:
        """Events that take up room among the fresh: those held, but for the due ones that wait, and
        those whose successor is not confirmed yet.
        """
        waiting = self._waiting
        fresh = waiting.events - waiting.due_events
        return fresh + self._events_in_flight + len(self._confirming)

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do: nothing is held, in flight, or in a gap."""
        return not (self._confirming or self._in_flight or self._waiting.has_users)

    @property
    def is_failing(self) -> bool:
        """Whether its endpoint is in trouble, by the last answers or for want of one."""
        return self._failures >= FAILS_AFTER

    def confirming(self, delivery: Delivery, due_at: float | None = None) -> Callable[[], None]:
        """The successor of `delivery` is being published; call what is returned when the broker has
        confirmed it. Until then the event takes up room, so that a failing customer can't fill the
        prefetch while the broker confirms nothing. A retry is in the delay until `due_at`.
        """
        if delivery.message.is_ours:  # or nothing of it will ever be confirmed
            self._confirming[delivery] = self._loop.time()

        def confirmed() -> None:
            self._confirming.pop(delivery, None)
            if due_at is not None and not delivery.is_through:
                self._begun.add(self.integration.id, due_at)
                delivery.due_at = due_at
            delivery.message.settle()

        return confirmed

    def through_late(self, delivery: Delivery) -> None:
        """One that was handed over is accepted after all: its successor has only to come back, and
        keeps no other event from being begun.
        """
        delivery.is_through = True
        if delivery.due_at is not None:
            self._begun.drop(self.integration.id, delivery.due_at)

    def keeps_up(self) -> bool:
        """Whether what it holds will soon be through: by the age of the event that waits longest,
        or by the pace that the lane keeps. The second is for a worker that is itself what events
        wait for: to park them would only be more work for it. Not while confirms stay away.
        """
        now = self._loop.time()
        if now - next(iter(self._confirming.values()), now) > STILL_SECONDS:
            return False
        oldest = self._oldest
        if oldest is None or time.monotonic() - oldest.began <= KEEPS_UP_SECONDS:
            return True
        return not self.is_failing and self.held <= DRAIN_SECONDS * self._throughput.recent()

    def stands_still(self) -> bool:
        """Whether its requests have had no answer lately, though nothing asked it to wait, or it
        begins nothing but probes.
        """
        now = self._loop.time()
        if max(self._resting_until, self._next_request_at) > now:
            return False
        patience = max(STILL_SECONDS, STILL_ROUND_TRIPS * self._round_trip)
        is_quiet = self._throughput.quiet_since < now - patience
        return is_quiet and (self._in_flight > 0 or self.is_failing)

    def parking_delay(self, events: int = 1) -> float:
        """Seconds until the lane has room for `events` more, by the pace it has lately kept.

        These count as some that will come back then, so that the parked ones come back at the pace
        at which they can be sent, and not all at once.
        """
        return self._throughput.next_slot(events)

    # What it takes in and lets go of

    def adopt(self, integration: Integration) -> bool:
        """Go on with a changed configuration, which may have mended what the lane is blocked for;
        says whether it was blocked.
        """
        self.integration = integration
        self.suspicion = SetupSuspicion()
        self._failures = 0
        self._window.set_limit(integration.limits.requests_in_flight)
        self._request_slots.set_limit(integration.limits.requests_in_flight)
        return self.block.end()

    def offer(self, delivery: Delivery) -> None:
        """Take a delivery in. Whether there is room is for the caller to ask (`occupied`)."""
        if not (self._waiting.events or self._events_in_flight):
            self._throughput.begin()
        self._pace.came()
        if self._oldest is None:
            self._oldest = delivery
        if not self._waiting.due:
            self._due_since = self._loop.time()
        may_go = self._waiting.add(delivery)
        if delivery.is_alone and may_go:
            # A suspect does not queue behind others: the longer it waits, the more restarts that
            # have nothing to do with it count against it.
            self._start([self._waiting.together_with(delivery)])
        elif not self._pump_is_due:
            # Not at once: what came in the same burst of the broker's line goes in the same batch.
            self._pump_is_due = True
            self._loop.call_soon(self.pump)

    def drop_lost(self) -> None:
        """Let go of deliveries that the broker has again, and that wait."""
        for delivery in [one for one in self._confirming if not one.message.is_ours]:
            del self._confirming[delivery]
        self._waiting.drop_lost()
        if self._oldest is not None and not self._oldest.message.is_ours:
            self._watch_next()

    def clear(self) -> list[Delivery]:
        """Everything that waits, taken out, to be parked."""
        cleared = self._waiting.clear()
        self._watch_next()
        return cleared

    def held_of(self, intake: Intake) -> int:
        """How much of the room of `intake` is taken by events held that came by it."""
        held = [one for group in self._waiting for one in group]
        for batch in self._rounds_under_way.values():
            held += [one for group in batch for one in group if _is_held(one)]
        places = {one.message.place for one in held if one.message.intake is intake}
        return len(places) * intake.events_each

    def shed(self, intake: Intake, events: int) -> list[Delivery]:
        """So many of what the lane holds of `intake`, the newest first, taken out to be parked.
        What is in a request or begun stays, and so does a suspect.
        """
        parked = self._waiting.shed(intake, events)
        if self._oldest in parked:
            self._watch_next()
        return parked

    # Requests begin

    def pump(self) -> None:
        """Start as many requests as may be."""
        self._pump_is_due = False
        now = self._loop.time()
        next_gap = self._waiting.end_gaps(now)
        if next_gap is not None:
            self._wake_at(next_gap)
        if not self._gate.is_open:
            return
        while self._waiting.due and self._may_start_due(now):
            if not self._start_some(self._waiting.due, self._messages_per_request, now):
                break
        while self._waiting.fresh and self._may_start_fresh(now):
            events = self._room_to_begin(now)
            if events <= 0:
                self._wake_at(now + min(_NEXT_LOOK_SECONDS, self._pauses.probe))
                break
            most = min(self._messages_per_request, events)
            if not self._start_some(self._waiting.fresh, most, now):
                break
            self._slot = None

    def _may_start_due(self, now: float) -> bool:
        """Whether a request of due events may start; if it may later, the lane wakes then.

        They keep their schedule through a hang, so the window does not hold them, unless Adobe
        asked to slow down. A request of few that hangs takes a slot from those who are due next:
        so they wait a moment for company, and when half of the slots are taken, for more of it.
        """
        limit = self.integration.limits.requests_in_flight
        if self._in_flight >= (self._window.size if self._is_throttled else limit):
            return False
        start_at = max(self._resting_until, self._next_request_at)
        if self.is_failing and len(self._waiting.due) < self._messages_per_request:
            start_at = max(start_at, self._due_since + self._pauses.attempt * _COMPANY_SHARE)
            if self._in_flight >= max(1, limit // 2):
                start_at = max(start_at, self._started_at + self._pauses.attempt / limit)
        return self._is_time(start_at, now)

    def _may_start_fresh(self, now: float) -> bool:
        if self._in_flight >= self._window.size:
            return False
        company = self._company_until(now)
        return self._is_time(max(self._resting_until, self._next_request_at, company), now)

    def _room_to_begin(self, now: float) -> int:
        """How many fresh events may be sent for the first time."""
        most = self.integration.limits.requests_in_flight * self._messages_per_request
        share = self._begun.share(self.integration.id)
        if share is not None:
            most = min(most, share)
        begun = self._begun.of(self.integration.id) + self._waiting.due_events
        room = most - begun - self._messages_in_flight - len(self._confirming)
        if self.is_failing:
            is_probe_due = not self._in_flight and now >= self._started_at + self._pauses.probe
            return min(room, 1) if is_probe_due and not self._waiting.due else 0
        return room

    def _is_time(self, moment: float, now: float) -> bool:
        if moment > now:
            self._wake_at(moment)
        return moment <= now

    def _company_until(self, now: float) -> float:
        """How long what waits is to wait for company; a moment in the past is not at all."""
        if len(self._waiting.fresh) >= self._messages_per_request:
            return 0.0
        if self._slot is None:
            self._slot = self._pace.reserve(now)
        return self._slot

    @property
    def _messages_per_request(self) -> int:
        batches = takes_batches(self.integration)
        return self.integration.limits.messages_per_request if batches else 1

    def _start_some(self, waiting: Groups, most: int, now: float) -> bool:
        """Start a request with `most` messages of these; not if too much is in flight."""
        batch = self._batch_of(waiting, most)
        if not batch:
            return False
        most_per_second = self.integration.limits.requests_per_second
        if most_per_second is not None:
            self._next_request_at = max(self._next_request_at, now) + 1 / most_per_second
        self._start(batch)
        return True

    def _batch_of(self, waiting: Groups, limit: int) -> list[list[Delivery]]:
        batch: list[list[Delivery]] = []
        size = 0
        events = self._events_in_flight
        if events >= self._max_events_in_flight:
            return batch
        for group in list(islice(waiting.values(), limit)):
            for one in group:
                size += len(one.message.body)
                events += 1
                limit = min(limit, one.batch_limit)
            if batch and (size > _BATCH_BYTES or len(batch) >= limit):
                break
            if events > self._max_events_in_flight and (batch or self._events_in_flight):
                break  # what is more than that by itself goes when nothing else is under way
            batch.append(group)
        return batch

    def _start(self, batch: list[list[Delivery]]) -> None:
        self._waiting.begin(batch)
        self._in_flight += 1
        self._messages_in_flight += len(batch)
        now = time.monotonic()
        self._started_at = self._loop.time()
        for group in batch:
            self._events_in_flight += len(group)
            for delivery in group:
                delivery.attempt_began = now
        task = asyncio.create_task(self._round(batch))
        self._rounds_under_way[task] = batch
        task.add_done_callback(self._rounds_under_way.pop)

    # Requests end

    async def _round(self, batch: list[list[Delivery]]) -> None:
        epoch = self._window.epoch
        began = self._loop.time()
        patience = Patience(self._patience_seconds, self._lose_patience, batch)
        try:
            results = await self._rounds.deliver(self.integration, batch, self._request_slots)
        except StoreUnavailable as problem:
            self._ended(batch)
            self._gate.close(problem)
            self._waiting.put_back(batch)
            self.drop_lost()
            return
        except Exception as error:  # a bug: its events become dead letters, and others go on
            log.exception("lane.unexpected_error", integration=self.integration.id)
            results = [(one, Crashed(type(error).__name__)) for group in batch for one in group]
        finally:
            patience.cancel()
        results = self._without_untried(results)
        self._learn(results, epoch, began)
        self._throughput.count(len(results))
        self._begin_gaps(batch, results)
        self._conclude(self, results)
        self._ended(batch)
        oldest = self._oldest
        if oldest is not None and any(oldest in group for group in batch):
            self._watch_next()
        self.pump()

    def _begin_gaps(
        self, batch: list[list[Delivery]], results: list[tuple[Delivery, Result]]
    ) -> None:
        # Not the loop's time, which may lag: the store's gap began before, and must end before.
        now = time.monotonic()
        after_success, after_failure = gaps_of(self.integration, self._pauses.attempt)
        accepted: set[str] = set()
        if after_success != after_failure:
            accepted = {one.user for one, result in results if isinstance(result, Accepted)}
        for group in batch:
            user = group[0].user
            gap = after_success if user in accepted else after_failure
            self._waiting.end(user, gap, now)

    def _ended(self, batch: list[list[Delivery]]) -> None:
        self._in_flight -= 1
        self._messages_in_flight -= len(batch)
        self._events_in_flight -= _held_of(batch)

    def _without_untried(
        self, results: list[tuple[Delivery, Result]]
    ) -> list[tuple[Delivery, Result]]:
        """What Adobe has not seen goes on waiting, unless the broker has it again."""
        untried = [delivery for delivery, result in results if isinstance(result, Untried)]
        if not untried:
            return results
        for delivery in untried:
            if delivery.message.is_ours:
                self._waiting.put_behind(delivery)
        return [one for one in results if not isinstance(one[1], Untried)]

    @property
    def _patience_seconds(self) -> float:
        """How long a request may be without an answer before its events are handed over."""
        usual = STILL_ROUND_TRIPS * self._round_trip
        return max(self._pauses.attempt * HAND_OVER_SHARE, usual)

    def _lose_patience(self, batch: list[list[Delivery]]) -> None:
        """Its endpoint hangs, as it seems: what is in the request can't keep acknowledgements from
        covering ranges for the rest of its time.
        """
        sent = [one for group in batch for one in group if _may_be_handed_over(one)]
        held_before = _held_of(batch)
        self._hand_over(self, sent)
        self._events_in_flight -= held_before - _held_of(batch)
        if sent:
            self._failures = max(self._failures, FAILS_AFTER)
            if self._oldest in sent:
                self._watch_next()

    def _learn(self, results: list[tuple[Delivery, Result]], epoch: int, began: float) -> None:
        overload = None
        for _, result in results:
            if isinstance(result, Retryable) and result.error in OVERLOAD:
                overload = result
        if overload is None:
            if results:
                self._failures = 0
                self._is_throttled = False
            self._window.succeeded(self._in_flight)
            took = self._loop.time() - began
            weight = _LEARNING if self._round_trip else 1
            self._round_trip += weight * (took - self._round_trip)
            return
        answered = any(isinstance(result, Accepted) for _, result in results)
        self._failures = 0 if answered else self._failures + 1
        self._is_throttled = overload.error == "adobe-throttled"
        self._window.overloaded(epoch)
        if overload.retry_after_seconds:
            pause = min(overload.retry_after_seconds, self._pauses.longest_rest)
            self._resting_until = max(self._resting_until, self._loop.time() + pause)

    def _watch_next(self) -> None:
        """Tell by the event that waits longest whether the lane keeps up."""
        self._oldest = next((group[0] for group in self._waiting.fresh.values()), None)

    def _wake_at(self, moment: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= moment and not self._timer.cancelled():
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(moment, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.pump()


def _may_be_handed_over(delivery: Delivery) -> bool:
    # A suspect, too: what takes its worker down does so long before this.
    # A repeat finds no end by its stamp, as the copy of another event does: it would be sent again.
    return delivery.was_sent and delivery.message.is_ours and not delivery.state.is_repeat


def _is_held(delivery: Delivery) -> bool:
    return not delivery.is_handed_over


def _held_of(batch: list[list[Delivery]]) -> int:
    return sum(_is_held(one) for group in batch for one in group)

"""The lane of one integration: what waits for it, in which order it goes, and how much at once.

A lane sends as soon as a request slot is free, and then everything that waits, up to the limits of
one request: an idle lane sends a single event at once, and a busy one fills its batches by itself.
A worker that gets many events lets a request that is not full wait for company, see `RequestPace`.

All events of one user that wait go as one message, and a user has at most one message under way,
with a gap after it (Adobe may resolve two quick ones either way round).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final, Protocol

import structlog

from worker.adobe.replies import Retryable
from worker.adobe.streaming import takes_batches
from worker.broker.intake import Intake
from worker.delivery.block import Block
from worker.delivery.courier import Crashed, Result
from worker.delivery.delivery import Delivery
from worker.delivery.gate import StoreGate
from worker.delivery.pace import RequestPace
from worker.delivery.slots import RequestSlots
from worker.delivery.suspicion import SetupSuspicion
from worker.delivery.window import AimdWindow
from worker.integrations.model import Integration
from worker.ordering.store import StoreUnavailable

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


class Lane:
    """`conclude` is called with the lane and the results of each round. A Retry-After holds the
    lane for at most `max_rest_seconds`; the delays of retries honour it further. At most
    `max_events_in_flight` are in requests at a time, since these can't be parked any more.
    """

    def __init__(
        self,
        integration: Integration,
        *,
        rounds: Rounds,
        gate: StoreGate,
        pace: RequestPace,
        block: Block,
        conclude: Callable[[Lane, list[tuple[Delivery, Result]]], None],
        max_rest_seconds: float,
        max_events_in_flight: int,
    ) -> None:
        self.integration = integration
        self.block = block
        self.suspicion = SetupSuspicion()
        self.held = 0
        self._max_rest_seconds = max_rest_seconds
        self._max_events_in_flight = max_events_in_flight
        self._rounds = rounds
        self._gate = gate
        self._pace = pace
        self._conclude = conclude
        self._waiting: dict[str, list[Delivery]] = {}
        self._under_way: dict[str, list[Delivery]] = {}
        self._gaps: deque[tuple[float, str]] = deque()
        self._window = AimdWindow(integration.limits.requests_in_flight)
        self._request_slots = RequestSlots(integration.limits.requests_in_flight)
        self._in_flight = 0
        self._events_in_flight = 0
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
        self._rate = _Rate(self._loop.time)

    @property
    def window(self) -> int:
        """Requests that may be in flight now."""
        return self._window.size

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do: nothing is held, in flight, or in a gap."""
        return not (self.occupied or self._in_flight or self._under_way)

    @property
    def occupied(self) -> int:
        """Events that take up room: those held, and those whose successor is not confirmed yet."""
        return self.held + len(self._confirming)

    def confirming(self, delivery: Delivery) -> Callable[[], None]:
        """The successor of `delivery` is being published; call what is returned when the broker has
        confirmed it. Until then the event takes up room, so that a failing customer can't fill the
        prefetch while the broker confirms nothing.
        """
        self._confirming[delivery] = self._loop.time()

        def confirmed() -> None:
            self._confirming.pop(delivery, None)
            delivery.message.settle()

        return confirmed

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
        return self.held <= DRAIN_SECONDS * self._rate.recent()

    def stands_still(self) -> bool:
        """Whether its requests have had no answer lately, though nothing asked it to wait."""
        now = self._loop.time()
        patience = max(STILL_SECONDS, STILL_ROUND_TRIPS * self._round_trip)
        return (
            self._in_flight > 0
            and self._rate.quiet_since < now - patience
            and max(self._resting_until, self._next_request_at) <= now
        )

    @property
    def waiting(self) -> int:
        """Events held that are in no request."""
        return self.held - self._events_in_flight

    def adopt(self, integration: Integration) -> bool:
        """Go on with a changed configuration, which may have mended what the lane is blocked for;
        says whether it was blocked.
        """
        self.integration = integration
        self.suspicion = SetupSuspicion()
        self._window.set_limit(integration.limits.requests_in_flight)
        self._request_slots.set_limit(integration.limits.requests_in_flight)
        return self.block.end()

    def offer(self, delivery: Delivery) -> None:
        """Take a delivery in. Whether there is room is for the caller to ask (`held`)."""
        if not self.held:
            self._rate.begin()
        self.held += 1
        self._pace.came()
        if self._oldest is None:
            self._oldest = delivery
        waits_for = self._under_way.get(delivery.user)
        if waits_for is not None:
            waits_for.append(delivery)
        else:
            self._waiting.setdefault(delivery.user, []).append(delivery)
        if delivery.is_alone and waits_for is None:
            # A suspect does not queue behind others: the longer it waits, the more restarts that
            # have nothing to do with it count against it.
            self._start([self._waiting.pop(delivery.user)])
        elif not self._pump_is_due:
            # Not at once: what came in the same burst of the broker's line goes in the same batch.
            self._pump_is_due = True
            self._loop.call_soon(self.pump)

    def pump(self) -> None:
        """Start as many requests as may be."""
        self._pump_is_due = False
        now = self._loop.time()
        self._end_gaps(now)
        if not self._gate.is_open:
            return
        while self._waiting and self._in_flight < self._window.size:
            wait_until = max(self._resting_until, self._next_request_at, self._company_until(now))
            if wait_until > now:
                self._wake_at(wait_until)
                break
            batch = self._take_batch()
            if not batch:
                break
            self._slot = None
            most = self.integration.limits.requests_per_second
            if most is not None:
                self._next_request_at = max(self._next_request_at, now) + 1 / most
            self._start(batch)

    def drop_lost(self) -> None:
        """Let go of deliveries that the broker has again, and that wait."""
        for delivery in [one for one in self._confirming if not one.message.is_ours]:
            del self._confirming[delivery]
        for users in (self._waiting, self._under_way):
            for user, deliveries in list(users.items()):
                ours = [one for one in deliveries if one.message.is_ours]
                self.held -= len(deliveries) - len(ours)
                users[user] = ours
                if not ours and users is self._waiting:
                    del users[user]
        if self._oldest is not None and not self._oldest.message.is_ours:
            self._watch_next()

    def clear(self) -> list[Delivery]:
        """Everything that waits, taken out, to be parked."""
        cleared: list[Delivery] = []
        for user, deliveries in self._under_way.items():
            cleared += deliveries
            self._under_way[user] = []
        for deliveries in self._waiting.values():
            cleared += deliveries
        self._waiting.clear()
        self.held -= len(cleared)
        self._watch_next()
        return cleared

    def shed(self, intake: Intake, share: int) -> list[Delivery]:
        """What the lane holds of `intake` beyond its `share`, the newest first, taken out to be
        parked. What is in a request stays, and so does a suspect.
        """
        excess = -share
        for groups in (
            self._waiting.values(),
            self._under_way.values(),
            *self._rounds_under_way.values(),
        ):
            excess += sum(one.message.intake is intake for group in groups for one in group)
        parked: list[Delivery] = []
        for users in (self._waiting, self._under_way):
            for user in list(reversed(users)):
                if len(parked) >= excess:
                    break
                kept: list[Delivery] = []
                for one in users[user]:
                    stays = one.is_alone or one.message.intake is not intake
                    (kept if stays else parked).append(one)
                users[user] = kept
                if not users[user] and users is self._waiting:
                    del users[user]
        self.held -= len(parked)
        if self._oldest in parked:
            self._watch_next()
        return parked

    def parking_delay(self, events: int = 1) -> float:
        """Seconds until the lane has room for `events` more, by the pace it has lately kept.

        These count as some that will come back then, so that the parked ones come back at the pace
        at which they can be sent, and not all at once.
        """
        return self._rate.next_slot(events)

    def _company_until(self, now: float) -> float:
        """How long what waits is to wait for company; a moment in the past is not at all."""
        if len(self._waiting) >= self._messages_per_request:
            return 0.0
        if self._slot is None:
            self._slot = self._pace.reserve(now)
        return self._slot

    @property
    def _messages_per_request(self) -> int:
        batches = takes_batches(self.integration)
        return self.integration.limits.messages_per_request if batches else 1

    def _take_batch(self) -> list[list[Delivery]]:
        limit = self._messages_per_request
        batch: list[list[Delivery]] = []
        size = 0
        events = self._events_in_flight
        if events >= self._max_events_in_flight:
            return batch
        for user in list(islice(self._waiting, limit)):
            group = self._waiting[user]
            for one in group:
                size += len(one.message.body)
                events += 1
                limit = min(limit, one.batch_limit)
            if batch and (size > _BATCH_BYTES or len(batch) >= limit):
                break
            if events > self._max_events_in_flight and (batch or self._events_in_flight):
                break  # what is more than that by itself goes when nothing else is under way
            del self._waiting[user]
            batch.append(group)
        return batch

    def _start(self, batch: list[list[Delivery]]) -> None:
        self._in_flight += 1
        now = time.monotonic()
        events = 0
        for group in batch:
            self._under_way[group[0].user] = []
            events += len(group)
            for delivery in group:
                delivery.attempt_began = now
        self._events_in_flight += events
        task = asyncio.create_task(self._round(batch, events))
        self._rounds_under_way[task] = batch
        task.add_done_callback(self._rounds_under_way.pop)

    async def _round(self, batch: list[list[Delivery]], events: int) -> None:
        epoch = self._window.epoch
        began = self._loop.time()
        try:
            results = await self._rounds.deliver(self.integration, batch, self._request_slots)
        except StoreUnavailable as problem:
            self._in_flight -= 1
            self._events_in_flight -= events
            self._gate.close(problem)
            self._put_back(batch)
            return
        except Exception as error:  # a bug: its events become dead letters, and others go on
            log.exception("lane.unexpected_error", integration=self.integration.id)
            results = [(one, Crashed(type(error).__name__)) for group in batch for one in group]
        self._learn(results, epoch, began)
        self._rate.count(len(results))
        self._begin_gaps(batch)
        self._conclude(self, results)
        self._in_flight -= 1
        self._events_in_flight -= events
        self.held -= events
        if any(one is self._oldest for group in batch for one in group):
            self._watch_next()
        self.pump()

    def _learn(self, results: list[tuple[Delivery, Result]], epoch: int, began: float) -> None:
        overload = None
        for _, result in results:
            if isinstance(result, Retryable) and result.error in OVERLOAD:
                overload = result
        if overload is None:
            self._window.succeeded(self._in_flight)
            took = self._loop.time() - began
            weight = _LEARNING if self._round_trip else 1
            self._round_trip += weight * (took - self._round_trip)
            return
        self._window.overloaded(epoch)
        if overload.retry_after_seconds:
            pause = min(overload.retry_after_seconds, self._max_rest_seconds)
            self._resting_until = max(self._resting_until, self._loop.time() + pause)

    def _watch_next(self) -> None:
        """Tell by the event that waits longest whether the lane keeps up."""
        self._oldest = next((group[0] for group in self._waiting.values()), None)

    def _put_back(self, batch: list[list[Delivery]]) -> None:
        """The batch was not sent: to the head of what waits, before what came for its users."""
        returned: dict[str, list[Delivery]] = {}
        for group in batch:
            user = group[0].user
            returned[user] = group + self._under_way.pop(user)
        returned.update(self._waiting)
        self._waiting = returned
        self.drop_lost()

    def _begin_gaps(self, batch: list[list[Delivery]]) -> None:
        # Not the loop's time, which may lag: the store's gap began before, and must end before.
        until = time.monotonic() + self.integration.limits.profile_gap_seconds
        for group in batch:
            self._gaps.append((until, group[0].user))

    def _end_gaps(self, now: float) -> None:
        gaps = self._gaps
        while gaps and gaps[0][0] <= now:
            _, user = gaps.popleft()
            came_since = self._under_way.pop(user, None)
            if came_since:
                self._waiting.setdefault(user, []).extend(came_since)
        if gaps:
            self._wake_at(gaps[0][0])

    def _wake_at(self, moment: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= moment and not self._timer.cancelled():
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(moment, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.pump()


class _Rate:
    """Events a second that a lane has lately settled, and when it will have room for more."""

    _FIRST_GUESS = 100.0
    _LEAST = 1.0
    _TURN_SECONDS = 0.5
    _LEARN_SECONDS = 1.0
    _LEAST_DELAY_SECONDS = 1.0
    _MAX_DELAY_SECONDS = 8.0
    """Soon enough that what was parked goes on within seconds of the endpoint's recovery; what
    comes back in vain meanwhile waits in its queue (see `Opening`)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rate = self._FIRST_GUESS
        self._horizon = 0.0
        self._busy_since = self._settled_at = self._turned_at = clock()
        self._last = self._current = 0

    @property
    def quiet_since(self) -> float:
        """When something was settled last, or the lane began to have something to do."""
        return max(self._busy_since, self._settled_at)

    def begin(self) -> None:
        """The lane, which had nothing to do, has something."""
        self._busy_since = self._clock()
        self._rate = max(self._rate, self._FIRST_GUESS)

    def count(self, settled: int) -> None:
        self._turn()
        self._settled_at = self._clock()
        self._current += settled

    def recent(self) -> float:
        """Events a second in the last half second or whole second."""
        self._turn()
        passed = self._clock() - self._turned_at
        return (self._last + self._current) / (self._TURN_SECONDS + passed)

    def next_slot(self, events: int) -> float:
        """Seconds until there is room for `events` more that were not counted on yet."""
        now = self._clock()
        recent = self.recent()
        if recent or now - self._busy_since >= self._LEARN_SECONDS:
            self._rate = max(self._LEAST, recent)
        # Bounded, or what a bad hour parked would delay the parked ones of the next.
        horizon = max(self._horizon, now) + events / self._rate
        self._horizon = min(horizon, now + self._MAX_DELAY_SECONDS)
        return max(self._LEAST_DELAY_SECONDS, self._horizon - now)

    def _turn(self) -> None:
        passed = self._clock() - self._turned_at
        if passed >= self._TURN_SECONDS:
            is_next = passed < 2 * self._TURN_SECONDS
            self._last = self._current if is_next else 0
            self._current = 0
            self._turned_at = self._clock()

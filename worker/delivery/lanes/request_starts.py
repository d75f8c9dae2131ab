"""When the requests of a lane begin, and with what.

A lane sends as soon as a request slot is free, and then everything that waits, up to the limits of
one request: an idle lane sends a single event at once, and a busy one fills its batches by itself.
A worker that gets many events lets a request that is not full wait for company, see `RequestPacer`.

What is due, because an attempt was made before, goes in requests of its own, and goes first. It
keeps its schedule whatever the endpoint does, so the lane begins no more than it can carry through
(see `Begun`); and while the endpoint fails, due events find out whether it is back.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

from worker.delivery.lanes.events_in_hand import Batch
from worker.delivery.lanes.lane_state import LaneState, SharedParts
from worker.delivery.lanes.request_limits import batch_of, messages_per_request
from worker.delivery.lanes.request_pacing import Alarm
from worker.delivery.lanes.waiting_events import Groups

_BATCH_WAIT_SHARE: Final = 1 / 30
"""Of an attempt's time limit: so long do due events of a failing endpoint wait for those due with
them."""
_NEXT_LOOK_SECONDS: Final = 1.0

BeginRound = Callable[[Batch, Callable[[], None]], None]


class LaneRequests:
    """Begins the requests of a lane: `begin_round` gets the batch of each, and what is to be called
    when its round has ended, and so others may begin.
    """

    def __init__(self, state: LaneState, shared: SharedParts, begin_round: BeginRound) -> None:
        self._state = state
        self._waiting = state.waiting
        self._under_way = state.under_way
        self._health = state.health
        self._window = state.window
        self._shared = shared
        self._pauses = shared.pauses
        self._begin_round = begin_round
        self._started_at = -math.inf
        self.due_since = 0.0
        """Since when due events wait, as far as any do."""
        self._next_request_at = 0.0
        self._batch_waits_until: float | None = None
        self.pump_is_due = False
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self.pump)

    @property
    def next_at(self) -> float:
        """Before that moment of the loop's clock no request of the lane may begin."""
        return max(self._health.resting_until, self._next_request_at)

    def pump(self) -> None:
        """Start as many requests of the lane as may be."""
        self.pump_is_due = False
        now = self._loop.time()
        next_gap = self._waiting.end_gaps(now)
        if next_gap is not None:
            self._alarm.set(next_gap)
        if not self._shared.gate.is_open_for(self._state.integration.state_id):
            return
        while self._waiting.due and self._may_start_due(now):
            most = messages_per_request(self._state.integration)
            if not self._start_some(self._waiting.due, most, now):
                break
        while self._waiting.fresh and self._may_start_fresh(now):
            events = self._room_to_begin(now)
            if events <= 0:
                self._alarm.set(now + min(_NEXT_LOOK_SECONDS, self._pauses.probe_seconds))
                break
            most = min(messages_per_request(self._state.integration), events)
            if not self._start_some(self._waiting.fresh, most, now):
                break
            self._batch_waits_until = None

    def start(self, batch: Batch) -> None:
        """Start a request of the lane with all of this batch, now."""
        self._waiting.begin(batch)
        self._under_way.begin(batch)
        now = time.monotonic()
        self._started_at = self._loop.time()
        for group in batch:
            for delivery in group:
                delivery.attempt_began = now
        self._begin_round(batch, self.pump)

    def _may_start_due(self, now: float) -> bool:
        """Whether a request of due events may start; if it may later, the lane wakes then.

        They keep their schedule through a hang, so the window does not hold them, unless Adobe
        asked to slow down. A request of few that hangs takes a slot from those who are due next:
        so they wait a moment for company, and when half of the slots are taken, for more of it.
        """
        limit = self._state.integration.limits.requests_in_flight
        requests, attempt = self._under_way.requests, self._pauses.attempt_seconds
        if requests >= (self._window.size if self._health.is_throttled else limit):
            return False
        start_at = max(self._health.resting_until, self._next_request_at)
        is_full = len(self._waiting.due) >= messages_per_request(self._state.integration)
        if self._health.is_failing and not is_full:
            start_at = max(start_at, self.due_since + attempt * _BATCH_WAIT_SHARE)
            if requests >= max(1, limit // 2):
                start_at = max(start_at, self._started_at + attempt / limit)
        return self._is_time(start_at, now)

    def _may_start_fresh(self, now: float) -> bool:
        if self._under_way.requests >= self._window.size:
            return False
        start_at = max(self._next_request_at, self._batch_wait_until(now))
        return self._is_time(max(self._health.resting_until, start_at), now)

    def _room_to_begin(self, now: float) -> int:
        """How many fresh events may be sent for the first time."""
        integration, all_begun = self._state.integration, self._shared.begun
        most = integration.limits.requests_in_flight * messages_per_request(integration)
        share = all_begun.share(integration.id)
        if share is not None:
            most = min(most, share)
        begun = all_begun.of(integration.id) + self._waiting.due_events
        room = most - begun - self._under_way.messages - len(self._state.confirming.since)
        if self._health.is_failing:
            return min(room, 1) if self.is_probe_due(now) else 0
        return room

    def is_probe_due(self, now: float) -> bool:
        """Whether a fresh event may find out now if a failing endpoint is back."""
        is_alone = not (self._under_way.requests or self._waiting.due)
        return is_alone and now >= self._started_at + self._pauses.probe_seconds

    def _is_time(self, moment: float, now: float) -> bool:
        if moment > now:
            self._alarm.set(moment)
        return moment <= now

    def _batch_wait_until(self, now: float) -> float:
        """How long what waits is to wait for company; a moment in the past is not at all."""
        if len(self._waiting.fresh) >= messages_per_request(self._state.integration):
            return 0.0
        if self._batch_waits_until is None:
            source = next(iter(self._waiting.fresh.values()))[0].message.source
            is_behind = 2 * source.free < source.room
            reserve = self._shared.pacer.reserve
            self._batch_waits_until = reserve(now, self._started_at, is_behind=is_behind)
        return self._batch_waits_until

    def _start_some(self, waiting: Groups, most: int, now: float) -> bool:
        """Start a request with `most` messages of these; not if too much is in requests."""
        batch = batch_of(waiting, most, self._under_way.events, self._shared.max_events_in_flight)
        if not batch:
            return False
        most_per_second = self._state.integration.limits.requests_per_second
        if most_per_second is not None:
            self._next_request_at = max(self._next_request_at, now) + 1 / most_per_second
        self.start(batch)
        return True

"""One worker, event by event: what fits on its core, in batches of which size, and how soon.

The core is a server with two queues: events that came, and requests that may start. When a request
may start is the worker's own rule (`RequestPacer`, `RequestWindow`), at a clock of ours.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from worker.delivery.lanes.request_limits import RequestWindow
from worker.delivery.lanes.request_pacing import RequestPacer
from worker.integrations.sections import Limits

PREFETCH: Final = 2_000
"""Events that a worker has in hand at most: the default of its setting."""
_LIMITS: Final = Limits()
_WARM_UP_SHARE: Final = 0.3
"""Of the events: until then the pace of the requests has settled."""


@dataclass(frozen=True, slots=True)
class WorkerCosts:
    """CPU of a worker in microseconds, for each event and for each request."""

    event_us: float
    request_us: float

    def of_batch(self, events: float) -> float:
        """Microseconds an event, with so many events in each request."""
        return self.event_us + self.request_us / events


@dataclass(frozen=True, slots=True)
class Load:
    """What one worker gets: events of `customers`, each as likely, at `per_second` by a Poisson
    process, or as fast as it takes them (None). A request is answered after `round_trip_ms`.
    """

    customers: int
    per_second: float | None
    round_trip_ms: float
    events: int = 20_000
    seed: int = 1


@dataclass(frozen=True, slots=True)
class WorkerRun:
    """Of the part of a run after its warm-up; the latencies are from the event's arrival at the
    worker to its request.
    """

    per_second: float
    cpu_us_per_event: float
    events_per_request: float
    p50_ms: float
    p99_ms: float


@dataclass(slots=True)
class _Lane:
    window: RequestWindow
    waiting: deque[float] = field(default_factory=deque)
    in_flight: int = 0
    starts_at: float | None = None
    last_start: float = -math.inf
    is_queued: bool = False


class _Worker:
    """Times are in seconds of the simulated clock."""

    def __init__(self, costs: WorkerCosts, load: Load) -> None:
        self._event_seconds = costs.event_us / 1e6
        self._request_seconds = costs.request_us / 1e6
        self._round_trip = load.round_trip_ms / 1e3
        self._arrivals = _arrivals(load)
        self._next = next(self._arrivals, None)
        self._lanes = [
            _Lane(RequestWindow(_LIMITS.requests_in_flight)) for _ in range(load.customers)
        ]
        self._ready: deque[_Lane] = deque()
        self._alarms: list[tuple[float, int, _Lane, int]] = []
        """When, a number that keeps the order, whose, and events of the request that has ended."""
        self._numbers = iter(range(10**12))
        self._in_hand = 0
        self.now = 0.0
        self.used = 0.0
        self.handled = 0
        self.requests = 0
        self.latencies: list[float] = []
        self._pacer = RequestPacer(lambda: self.used)

    def step(self) -> bool:
        """Do the next piece of work, or wait for it; False when there will be none."""
        while self._alarms and self._alarms[0][0] <= self.now:
            _, _, lane, ended = heapq.heappop(self._alarms)
            self._ring(lane, ended)
        if self._ready:
            self._start(self._ready.popleft())
        elif self._has_arrived():
            self._take()
        else:
            return self._wait()
        return True

    def _has_arrived(self) -> bool:
        return self._next is not None and self._next[0] <= self.now and self._in_hand < PREFETCH

    def _wait(self) -> bool:
        moments = [self._alarms[0][0]] if self._alarms else []
        if self._next is not None and self._in_hand < PREFETCH:
            moments.append(self._next[0])
        if moments:
            self.now = max(self.now, min(moments))
        return bool(moments)

    def _work(self, seconds: float) -> None:
        self.now += seconds
        self.used += seconds

    def _take(self) -> None:
        assert self._next is not None
        arrived, number = self._next
        # Of a backlog an event counts from when it was taken.
        self._next = next(self._arrivals, None)
        self._in_hand += 1
        lane = self._lanes[number]
        lane.waiting.append(max(arrived, self.now if arrived == 0.0 else 0.0))
        self._work(self._event_seconds)
        self._look(lane)

    def _look(self, lane: _Lane) -> None:
        """Let a request start when it may; see `LaneRequests`."""
        if lane.is_queued or not lane.waiting or lane.in_flight >= lane.window.size:
            return
        if len(lane.waiting) >= _LIMITS.messages_per_request:
            self._queue(lane)
        elif lane.starts_at is None:
            is_behind = 2 * self._in_hand > PREFETCH
            reserve = self._pacer.reserve
            lane.starts_at = reserve(self.now, lane.last_start, is_behind=is_behind)
            self._set(max(lane.starts_at, self.now), lane, 0)
        elif lane.starts_at <= self.now:
            self._queue(lane)

    def _queue(self, lane: _Lane) -> None:
        lane.is_queued = True
        self._ready.append(lane)

    def _set(self, moment: float, lane: _Lane, ended: int) -> None:
        heapq.heappush(self._alarms, (moment, next(self._numbers), lane, ended))

    def _ring(self, lane: _Lane, ended: int) -> None:
        if ended:
            lane.window.succeeded(lane.in_flight)
            lane.in_flight -= 1
            self._in_hand -= ended
            self.handled += ended
        self._look(lane)

    def _start(self, lane: _Lane) -> None:
        lane.is_queued, lane.starts_at = False, None
        batch = [
            lane.waiting.popleft()
            for _ in range(min(len(lane.waiting), _LIMITS.messages_per_request))
        ]
        lane.last_start = self.now
        self._work(self._request_seconds)
        self.requests += 1
        self.latencies += [self.now - arrived for arrived in batch]
        lane.in_flight += 1
        self._set(self.now + self._round_trip, lane, len(batch))
        self._look(lane)


def run(costs: WorkerCosts, load: Load) -> WorkerRun:
    """What comes of it; the same for the same arguments."""
    worker = _Worker(costs, load)
    warm: tuple[float, float, int, int, int] | None = None
    while worker.step():
        if warm is None and worker.handled >= load.events * _WARM_UP_SHARE:
            sent = len(worker.latencies)
            warm = worker.now, worker.used, worker.handled, worker.requests, sent
        if worker.handled >= load.events * (1 - _WARM_UP_SHARE / 10):
            break  # what is left has no company any more
    assert warm is not None
    since, used, handled, requests, sent = warm
    events = worker.handled - handled
    latencies = sorted(worker.latencies[sent:])
    return WorkerRun(
        per_second=events / (worker.now - since),
        cpu_us_per_event=(worker.used - used) / events * 1e6,
        events_per_request=len(latencies) / (worker.requests - requests),
        p50_ms=latencies[len(latencies) // 2] * 1e3,
        p99_ms=latencies[len(latencies) * 99 // 100] * 1e3,
    )


def _arrivals(load: Load) -> Iterator[tuple[float, int]]:
    """When the events come, and whose each is; a backlog is there from the beginning."""
    chance = random.Random(load.seed)
    at = 0.0
    for number in range(load.events):
        if load.per_second is None:
            yield 0.0, number % load.customers
        else:
            at += chance.expovariate(load.per_second)
            yield at, chance.randrange(load.customers)

"""A fleet: what bounds it first, and what it needs and asks of others at that bound. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Final

from bench.simulate.figures import Figure
from bench.simulate.one_worker import Load, WorkerCosts, WorkerRun, run
from worker.adobe.token_life import AccessToken

WORKERS: Final = "workers' cores"
QUEUES: Final = "event queues"
REDIS: Final = "Redis"
ADOBE: Final = "Adobe's rate"
_BROKER_CONNECTIONS: Final = 2
_RECEIPTS_OF_AN_EVENT: Final = 2
"""The door's and the worker's."""
_REDIS_CONNECTIONS: Final = 8
_EASE_SHARE: Final = 0.5
"""Of the bound: where the latency is told, since at the bound itself the backlog grows."""
_NEAR_CAPACITY: Final = 0.95
"""Of what a worker's core takes: beyond it, it is taken to work off a backlog."""
_LEAST_EVENTS: Final = 20_000
_TRIES: Final = 4


@dataclass(frozen=True, slots=True)
class Fleet:
    """Customers have the same traffic, each an organization of its own at Adobe, but for the
    largest one with `largest_share` of all events (None for the same as others).
    """

    workers: int
    customers: int
    queues: int = 1
    masters: int = 1
    largest_share: float | None = None
    has_receipts: bool = True
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Prediction:
    """At the first bound, but for the latencies: at half of it, from publishing to the request.

    `bounds` are events a second by what bounds them. `queues_wanted` and `masters_wanted` are how
    many it takes until workers or Adobe are the bound.
    """

    fleet: Fleet
    bounds: Mapping[str, float]
    cpu_us_per_event: float
    events_per_request: float
    p50_ms: float
    p99_ms: float
    queues_wanted: int
    masters_wanted: int
    redis_cores: float
    token_requests_per_second: float
    worker_mb: float
    broker_connections: int
    redis_connections: int
    door_cores: float
    receipts_per_second: float

    @property
    def first_bound(self) -> str:
        """What binds first."""
        return min(self.bounds, key=lambda name: self.bounds[name])

    @property
    def per_second(self) -> float:
        """Events a second of the whole fleet."""
        return min(self.bounds.values())

    @property
    def requests_per_second(self) -> float:
        """Requests to Adobe of the whole fleet."""
        return self.per_second / self.events_per_request


def costs_of(figures: Mapping[str, Figure], *, has_redis: bool, has_receipts: bool) -> WorkerCosts:
    """What an event and a request cost a worker, by two runs that differ in the size of batches."""
    value = {name: one.value for name, one in figures.items()}
    request = (value["single_us"] - value["batched_us"]) / (1 - 1 / value["batched_events"])
    event = value["single_us"] - request
    if has_redis:
        calls = value["redis_us"] - value["memory_us"]
        of_event = calls / (1 + value["redis_request_events"] / value["redis_batch_events"])
        event += of_event
        request += of_event * value["redis_request_events"]
    if has_receipts:
        event += value["batched_us"] * value["receipts_share"]
    return WorkerCosts(event, request)


def predict(figures: Mapping[str, Figure], fleet: Fleet) -> Prediction:
    """What `fleet` does, by `figures`; the same for the same arguments."""
    value = {name: one.value for name, one in figures.items()}
    workers = _Workers(
        costs_of(figures, has_redis=True, has_receipts=fleet.has_receipts),
        fleet,
        value["round_trip_ms"],
    )
    bounds = {
        WORKERS: workers.capacity,
        QUEUES: fleet.queues * value["queue_per_second"],
        ADOBE: value["adobe_per_second"] / (fleet.largest_share or 1 / fleet.customers),
    }

    def redis_cores(rate: float) -> float:
        per_event = value["redis_event_us"]
        per_event += value["redis_request_us"] / workers.at(rate).events_per_request
        return rate * per_event / 1e6

    bounds[REDIS] = _largest(min(bounds.values()), fleet.masters, redis_cores)
    full = min(bounds[WORKERS], bounds[ADOBE])
    rate = min(bounds.values())
    at_bound, at_ease = workers.at(rate), workers.at(rate * _EASE_SHARE)
    life = AccessToken("", 0.0, value["token_seconds"]).refresh_at
    return Prediction(
        fleet=fleet,
        bounds=bounds,
        cpu_us_per_event=at_bound.cpu_us_per_event,
        events_per_request=at_bound.events_per_request,
        p50_ms=at_ease.p50_ms + value["broker_p50_ms"],
        p99_ms=at_ease.p99_ms + value["broker_p99_ms"],
        queues_wanted=ceil(full / value["queue_per_second"]),
        masters_wanted=ceil(redis_cores(full)),
        redis_cores=redis_cores(rate),
        token_requests_per_second=fleet.workers * fleet.customers / life,
        worker_mb=value["worker_mb"] + value["customer_kb"] * fleet.customers / 1e3,
        broker_connections=fleet.workers * (_BROKER_CONNECTIONS + fleet.has_receipts),
        redis_connections=fleet.workers * _REDIS_CONNECTIONS * fleet.masters,
        door_cores=rate * value["door_us"] / 1e6,
        receipts_per_second=rate * _RECEIPTS_OF_AN_EVENT * fleet.has_receipts,
    )


class _Workers:
    """All workers, of which each gets the same share."""

    def __init__(self, costs: WorkerCosts, fleet: Fleet, round_trip_ms: float) -> None:
        self._costs = costs
        self._fleet = fleet
        self._round_trip_ms = round_trip_ms
        self.capacity = self._run(None).per_second * fleet.workers

    def at(self, rate: float) -> WorkerRun:
        """One of them, at `rate` events a second of all."""
        is_busy = rate > self.capacity * _NEAR_CAPACITY
        return self._run(None if is_busy else rate / self._fleet.workers)

    def _run(self, per_second: float | None) -> WorkerRun:
        customers = self._fleet.customers
        events = max(_LEAST_EVENTS, 2 * customers)
        load = Load(customers, per_second, self._round_trip_ms, events, self._fleet.seed)
        return _remembered(self._costs, load)


@lru_cache(maxsize=64)
def _remembered(costs: WorkerCosts, load: Load) -> WorkerRun:
    return run(costs, load)


def _largest(rate: float, cores: int, needed: Callable[[float], float]) -> float:
    """The rate at which `cores` are just busy. Where they are not at `rate`, as if batches stayed
    as they are there.
    """
    for _ in range(_TRIES):
        share = needed(rate) / cores
        if share <= 1:
            break
        rate /= share
    return rate / (needed(rate) / cores)

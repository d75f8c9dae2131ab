"""Latency: how long an event takes when events come at a steady rate, the same for all contestants.

From the moment at which an event is due to be published, by a Poisson process, to its arrival at
the HTTP stub, so a producer or a queue that falls behind counts. A contestant that can't keep up
with a rate is not asked for a higher one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.arena import Arena
from bench.contestants import Contestant
from bench.publisher import Job

RATES: Final = (50.0, 400.0, 1_000.0, 2_000.0, 3_600.0)
"""Events a second."""
CUSTOMERS: Final = (10, 1_000)
_WARM_UP_EVENTS = 200
_LEAST_EVENTS = 200
_SETTLE_SECONDS = 180.0
_BEHIND_SHARE = 0.05
_BEHIND_EVENTS = 50


@dataclass(frozen=True, slots=True)
class Paced:
    """Milliseconds. `waiting` is how many events had not arrived when the last was published."""

    per_second: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    waiting: int
    summary: dict[str, Any]

    def keeps_up(self, count: int) -> bool:
        """Whether the contestant was level with the producer."""
        return self.waiting <= max(count * _BEHIND_SHARE, _BEHIND_EVENTS)


def wait_for(arena: Arena, count: int, *, kind: str = "t", without: str = "") -> None:
    """Until `count` events have arrived. RuntimeError when they don't."""
    give_up_at = time.monotonic() + _SETTLE_SECONDS
    while (arrived := arena.arrived(kind, without)) < count:
        if time.monotonic() > give_up_at:
            raise RuntimeError(f"only {arrived} of {count} events arrived")
        time.sleep(0.02)


def warm_up(arena: Arena, contestant: Contestant, organizations: int = 1) -> None:
    """Until a contestant that was just started delivers for each organization."""
    count = max(_WARM_UP_EVENTS, organizations)
    job = Job("", "", count, _WARM_UP_EVENTS, organizations=organizations)
    arena.start_publishing(contestant.template(arena), job)()
    wait_for(arena, count)


def pace(
    arena: Arena,
    contestant: Contestant,
    per_second: float,
    seconds: float,
    organizations: int = 1,
) -> Paced:
    """Publish at `per_second` for a contestant that runs and has nothing to do."""
    arena.reset()
    count = max(_LEAST_EVENTS, round(per_second * seconds))
    job = Job("", "", count, per_second, organizations=organizations)
    arena.start_publishing(contestant.template(arena), job)()
    waiting = count - arena.arrived()
    wait_for(arena, count)
    summary = arena.summary()
    p50_ms, p99_ms, p999_ms = (summary[f"{one}_ms"] for one in ("p50", "p99", "p999"))
    return Paced(per_second, p50_ms, p99_ms, p999_ms, waiting, summary)


def latencies(
    arena: Arena,
    contestant: Contestant,
    seconds: float,
    organizations: int,
    rates: Sequence[float] = RATES,
) -> dict[float, Paced]:
    """By events a second, up to the last rate that the contestant keeps up with."""
    contestant.prepare(arena)
    arena.reset()
    measured: dict[float, Paced] = {}
    with contestant.start(arena):
        warm_up(arena, contestant, organizations)
        for rate in rates:
            paced = pace(arena, contestant, rate, seconds, organizations)
            if not paced.keeps_up(round(rate * seconds)):
                break
            measured[rate] = paced
    return measured

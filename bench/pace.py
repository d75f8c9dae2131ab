"""Latency: how long an event takes when events come at a steady share of the capacity.

From the moment at which an event is due to be published to its arrival at the HTTP stub, so a
producer or a queue that falls behind counts. The capacity by `drain` has no producer beside it; so
the highest load is lowered until the contestant keeps up with it, producer included.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.arena import Arena
from bench.contestants import Contestant
from bench.publisher import Job

SHARES: Final = (0.9, 0.5, 0.1)
_WARM_UP_EVENTS = 200
_LEAST_EVENTS = 200
_SETTLE_SECONDS = 180.0
_BEHIND_SHARE = 0.05
_BEHIND_EVENTS = 50
_LOWER = 0.8


@dataclass(frozen=True, slots=True)
class Paced:
    """Milliseconds. `waiting` is how many events had not arrived when the last was published."""

    per_second: float
    p50_ms: float
    p99_ms: float
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
    """Until a contestant that was just started delivers."""
    count = max(_WARM_UP_EVENTS, organizations)
    job = Job("", "", count, _WARM_UP_EVENTS, organizations=organizations)
    arena.start_publishing(contestant.template(arena), job)()
    wait_for(arena, count)


def pace(arena: Arena, contestant: Contestant, per_second: float, seconds: float) -> Paced:
    """Publish at `per_second` for a contestant that runs and has nothing to do."""
    arena.reset()
    count = max(_LEAST_EVENTS, round(per_second * seconds))
    arena.start_publishing(contestant.template(arena), Job("", "", count, per_second))()
    waiting = count - arena.arrived()
    wait_for(arena, count)
    summary = arena.summary()
    return Paced(per_second, summary["p50_ms"], summary["p99_ms"], waiting, summary)


def latencies(
    arena: Arena,
    contestant: Contestant,
    capacity: float,
    seconds: float,
    shares: Sequence[float] = SHARES,
) -> dict[float, Paced]:
    """By the share of the capacity, which is lowered until the first share can be kept up."""
    contestant.prepare(arena)
    arena.reset()
    measured: dict[float, Paced] = {}
    with contestant.start(arena):
        warm_up(arena, contestant)
        for share in shares:
            while True:
                paced = pace(arena, contestant, capacity * share, seconds)
                if measured or paced.keeps_up(round(paced.per_second * seconds)):
                    break
                capacity *= _LOWER
            measured[share] = paced
    return measured

"""What the worker adds between delivery by the broker and the request, at 400 events a second.

The deliveries are seen by a relay before the broker and the requests by the stub, which are one
process with one clock.
"""

from __future__ import annotations

import statistics
from collections import defaultdict

from bench.arena import Arena
from bench.contestants import BARE, Contestant, Ours
from bench.pace import pace, warm_up
from bench.scale import Scale

_PER_SECOND = 400.0


def latency(arena: Arena, scale: Scale, capacity: float) -> dict[str, float]:
    """Milliseconds that are added by us, and by (ii) at the same rate."""
    added: dict[str, list[float]] = defaultdict(list)
    rivals: tuple[tuple[str, Contestant], ...] = (("ours", Ours("ours-latency")), ("bare", BARE))
    for _ in range(scale.repetitions):
        for name, contestant in rivals:
            contestant.prepare(arena)
            arena.reset()
            with contestant.start(arena, by_tap=True):
                warm_up(arena, contestant)
                paced = pace(arena, contestant, _PER_SECOND, scale.rate_seconds)
            for quantile in ("p50", "p99"):
                added[f"{name}_{quantile}_ms"].append(paced.summary[f"added_{quantile}_ms"])
    medians = {name: statistics.median(values) for name, values in added.items()}
    return {"per_second": _PER_SECOND} | medians

"""One of ten integrations takes requests and never answers: what do the nine others notice?"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict

from bench.arena import Arena
from bench.contestants import Ours
from bench.events import now_us, organization
from bench.pace import wait_for, warm_up
from bench.publisher import Job
from bench.ratios import median_ratio
from bench.scale import Scale

_INTEGRATIONS = 10
_LOAD = 0.4
_REPETITIONS = 7
"""At least, since from run to run the machine itself differs by more than what is looked for."""


def isolation(arena: Arena, scale: Scale, capacity: float) -> dict[str, float]:
    """Throughput while working off a queue and latency at a steady load, with and without."""
    runs: dict[str, list[float]] = defaultdict(list)
    for _ in range(max(scale.repetitions, _REPETITIONS)):
        for name, inlets in (("without", ()), ("with", (organization(0),))):
            worker = Ours(f"ours-isolation-{name}", integrations=_INTEGRATIONS)
            runs[f"{name}_per_second"].append(_throughput(arena, worker, inlets, scale, capacity))
            runs[f"{name}_p99_ms"].append(_p99(arena, worker, inlets, scale, capacity))
    figures = {name: statistics.median(values) for name, values in runs.items()}
    figures["throughput_kept"] = median_ratio(runs["with_per_second"], runs["without_per_second"])
    figures["p99_ratio"] = median_ratio(runs["with_p99_ms"], runs["without_p99_ms"])
    return figures


def _throughput(
    arena: Arena, worker: Ours, hanging: tuple[str, ...], scale: Scale, capacity: float
) -> float:
    """Events a second of the nine, from the first to the last of those that wait."""
    worker.prepare(arena)
    arena.reset()
    count = round(capacity * min(scale.isolation_seconds, 10.0) / _INTEGRATIONS) * _INTEGRATIONS
    job = Job("", "", count, organizations=_INTEGRATIONS)
    arena.start_publishing(worker.template(arena), job)()
    bad = organization(0)
    arena.hang(*hanging)
    with worker.start(arena):
        wait_for(arena, 1, without=bad)
        began = time.monotonic()
        wait_for(arena, count * (_INTEGRATIONS - 1) // _INTEGRATIONS, without=bad)
        took = time.monotonic() - began
    arena.hang()
    return count * (_INTEGRATIONS - 1) / _INTEGRATIONS / took


def _p99(
    arena: Arena, worker: Ours, hanging: tuple[str, ...], scale: Scale, capacity: float
) -> float:
    worker.prepare(arena)
    arena.reset()
    with worker.start(arena):
        warm_up(arena, worker, _INTEGRATIONS)
        arena.hang(*hanging)
        since = now_us()
        rate = capacity * _LOAD
        count = round(rate * scale.isolation_seconds / _INTEGRATIONS) * _INTEGRATIONS
        job = Job("", "", count, rate, first_number=1_000_000, organizations=_INTEGRATIONS)
        arrived = arena.arrived(without=organization(0))
        arena.start_publishing(worker.template(arena), job)()
        others = count * (_INTEGRATIONS - 1) // _INTEGRATIONS
        wait_for(arena, arrived + others, without=organization(0))
        p99 = arena.summary(since, without=organization(0))["p99_ms"]
    arena.hang()
    return float(p99)

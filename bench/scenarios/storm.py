"""Thousands of retries are due at once while fresh events flow: how long do the fresh ones take?"""

from __future__ import annotations

import statistics
import time

from bench.arena import Arena
from bench.contestants import Ours, plain_template
from bench.events import ORGANIZATION_PLACE, now_us
from bench.pace import wait_for, warm_up
from bench.publisher import Job
from bench.ratios import median_ratio
from bench.scale import Scale

_LOAD = 0.3


def storm(arena: Arena, scale: Scale, capacity: float) -> dict[str, float]:
    """The p99 of fresh events with and without, and how many retries were left when they ended."""
    calm, during, left = [], [], []
    for _ in range(scale.repetitions):
        calm.append(_fresh(arena, 0, scale, capacity)[0])
        p99, rest = _fresh(arena, scale.storm, scale, capacity)
        during.append(p99)
        left.append(rest)
    return {
        "retries": scale.storm,
        "without_p99_ms": statistics.median(calm),
        "with_p99_ms": statistics.median(during),
        "p99_ratio": median_ratio(during, calm),
        "retries_left": statistics.median(left),
    }


def _fresh(arena: Arena, retries: int, scale: Scale, capacity: float) -> tuple[float, int]:
    worker = Ours("ours-storm")
    worker.prepare(arena)
    arena.reset()
    if retries:
        arena.start_publishing(_retry_template(worker), Job("", "", retries, kind="r"))()
    with worker.start(arena):
        warm_up(arena, worker)
        rate = capacity * _LOAD
        count = round(rate * scale.pace_seconds)
        since = now_us()
        job = Job("", "", count, rate, first_number=1_000_000)
        already = arena.arrived()
        arena.start_publishing(worker.template(arena), job)()
        left = retries - arena.arrived("r")
        wait_for(arena, already + count)
        return float(arena.summary(since)["p99_ms"]), left


def _retry_template(worker: Ours) -> bytes:
    headers = {
        "consent-integration": ORGANIZATION_PLACE,
        "consent-attempts": 1,
        "consent-first-attempt-at": int(time.time() * 1000),
    }
    return plain_template(worker.retries, headers)

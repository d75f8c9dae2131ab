"""Capacity and cost: how fast a contestant works off what waits, and what CPU that takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from bench.arena import Arena
from bench.contestants import Contestant
from bench.processes import Measured
from bench.publisher import Job

POLL_SECONDS = 0.02
_WARM_UP_SHARE = 0.15
_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Drained:
    """Of the part of a run after its warm-up; memory and batches are of the whole run."""

    cpu_us_per_event: float
    events_per_second: float
    peak_memory_mb: float
    events_per_request: float


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    cpu_us: float
    handled: int


def drain(
    arena: Arena,
    contestant: Contestant,
    most_seconds: float,
    *,
    count: int = 0,
    organizations: int = 1,
    in_a_row: int = 1,
    workers: int = 0,
) -> Drained:
    """Let `count` events wait, start the contestant, and measure until all are handled or
    `most_seconds` have passed since every organization had its first event. A number of `workers`
    share all cores with the others.
    """
    count = count or contestant.prefill
    contestant.prepare(arena)
    arena.reset()
    template = contestant.template(arena)
    first = Job("", "", organizations, organizations=organizations)
    arena.start_publishing(template, first)()
    rest = replace(first, count=count - organizations, in_a_row=in_a_row)
    arena.start_publishing(template, replace(rest, first_number=organizations))()
    with ExitStack() as stack:
        processes = [stack.enter_context(contestant.start(arena)) for _ in range(workers or 1)]
        if workers:
            for one in processes:
                one.move_to(arena.cores.together)
        samples = _watch(
            lambda: contestant.handled(arena, count), processes, organizations, count, most_seconds
        )
        peak = max(one.peak_memory_mb for one in processes)
        summary = arena.summary()
    warm = samples[0].handled + (samples[-1].handled - samples[0].handled) * _WARM_UP_SHARE
    began = next(one for one in samples if one.handled >= warm)
    ended = samples[-1]
    handled = ended.handled - began.handled
    return Drained(
        (ended.cpu_us - began.cpu_us) / handled,
        handled / (ended.at - began.at),
        peak,
        summary["events"] / max(summary["requests"], 1),
    )


def _watch(
    handled_so_far: Callable[[], int],
    processes: list[Measured],
    first: int,
    count: int,
    most_seconds: float,
) -> list[_Sample]:
    """Samples from the `first` handled events to the last before the end."""
    samples: list[_Sample] = []
    give_up_at = time.monotonic() + _START_SECONDS
    while True:
        time.sleep(POLL_SECONDS)
        for process in processes:
            process.check()
        handled = handled_so_far()
        now = time.monotonic()
        if handled >= count and len(samples) > 2:
            return samples
        if handled >= first:
            samples.append(_Sample(now, sum(one.cpu_microseconds for one in processes), handled))
        elif now > give_up_at:
            raise RuntimeError(f"nothing was handled in {_START_SECONDS:g} s")
        if samples and now - samples[0].at > most_seconds:
            return samples

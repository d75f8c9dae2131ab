"""What does it cost to keep the state of newest-wins in a file or in Redis, not in the process?"""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Final, Literal

from bench.arena import Arena
from bench.contestants import Ours
from bench.drain import drain
from bench.pace import pace, warm_up
from bench.ratios import median_ratio
from bench.scale import Scale

State = Literal["memory", "sqlite", "redis"]
_STATES: Final[tuple[State, ...]] = ("memory", "sqlite", "redis")
_INTEGRATIONS = 10
_LONE_PER_SECOND = 20.0
"""So few that each is done before the next one comes, and none shares a commit or a batch."""


def ordering(arena: Arena, scale: Scale, capacity: float) -> dict[str, float]:
    """CPU microseconds an event and events a second, with ten integrations; and the milliseconds
    between delivery and request of a lone event. Each store is measured right after the memory, and
    compared with that.
    """
    runs: dict[str, list[float]] = defaultdict(list)
    for _ in range(scale.repetitions):
        for state in _STATES:
            worker = _worker("batches", state, _INTEGRATIONS)
            drained = drain(arena, worker, scale.drain_seconds, organizations=_INTEGRATIONS)
            runs[f"{state}_us"].append(drained.cpu_us_per_event)
            runs[f"{state}_per_second"].append(drained.events_per_second)
        for state in _STATES:
            runs[f"{state}_lone_p50_ms"].append(_lone(arena, _worker("lone", state), scale))
    figures = {name: statistics.median(values) for name, values in runs.items()}
    for state in _STATES[1:]:
        figures[f"{state}_ratio"] = median_ratio(runs[f"{state}_us"], runs["memory_us"])
        figures[f"{state}_lone_added_p50_ms"] = statistics.median(
            one - other
            for one, other in zip(
                runs[f"{state}_lone_p50_ms"], runs["memory_lone_p50_ms"], strict=True
            )
        )
    return figures


def _worker(what: str, state: State, integrations: int = 1) -> Ours:
    return Ours(f"ours-{what}-{state}", state=state, integrations=integrations)


def _lone(arena: Arena, worker: Ours, scale: Scale) -> float:
    """The median of what the worker adds, in milliseconds."""
    worker.prepare(arena)
    arena.reset()
    with worker.start(arena, by_tap=True):
        warm_up(arena, worker)
        paced = pace(arena, worker, _LONE_PER_SECOND, scale.pace_seconds)
    return float(paced.summary["added_p50_ms"])

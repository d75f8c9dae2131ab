"""Does memory depend on how much waits? The same number of events is handled either way."""

from __future__ import annotations

from bench.arena import Arena
from bench.contestants import Ours
from bench.pace import wait_for
from bench.publisher import Job
from bench.scale import Scale

_FEW = 1000
_LOAD = 0.5


def backlog(arena: Arena, scale: Scale, capacity: float) -> dict[str, float]:
    """Peak resident MB with about a thousand events waiting, and with as many as the scale has."""
    few = _peak(arena, _FEW, scale.handled_of_backlog, capacity)
    many = _peak(arena, scale.backlog, scale.handled_of_backlog, capacity)
    return {
        "few": _FEW,
        "many": scale.backlog,
        "few_mb": few,
        "many_mb": many,
        "ratio": many / few,
    }


def _peak(arena: Arena, waiting: int, handled: int, capacity: float) -> float:
    worker = Ours("ours-backlog")
    worker.prepare(arena)
    arena.reset()
    template = worker.template(arena)
    arena.start_publishing(template, Job("", "", waiting))()
    with worker.start(arena) as process:
        if (more := handled - waiting) > 0:
            job = Job("", "", more, capacity * _LOAD, first_number=waiting)
            arena.start_publishing(template, job)()
        wait_for(arena, min(handled, waiting + max(more, 0)))
        peak = process.peak_memory_mb
    worker.prepare(arena)
    return peak

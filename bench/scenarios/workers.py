"""One, two and four workers on one queue, with Redis, as a fleet has it."""

from __future__ import annotations

from bench.arena import Arena
from bench.contestants import Ours
from bench.drain import drain
from bench.scale import Scale

_INTEGRATIONS = 10


def workers(arena: Arena, scale: Scale, capacity: float) -> dict[str, float]:
    """Events a second together; how far it goes up is bounded by the machine's cores."""
    figures: dict[str, float] = {}
    for count in (1, 2, 4):
        fleet = Ours("ours-fleet", state="redis", integrations=_INTEGRATIONS)
        drained = drain(
            arena, fleet, scale.drain_seconds, organizations=_INTEGRATIONS, workers=count
        )
        figures[f"{count}_per_second"] = drained.events_per_second
        figures[f"{count}_us"] = drained.cpu_us_per_event
    return figures

"""What does it cost to keep the state of newest-wins in Redis instead of in the process?"""

from __future__ import annotations

from bench.arena import Arena
from bench.contestants import Ours
from bench.drain import drain
from bench.scale import Scale

_INTEGRATIONS = 10


def ordering(arena: Arena, scale: Scale, capacity: float) -> dict[str, float]:
    """CPU microseconds an event and events a second, with ten integrations."""
    figures: dict[str, float] = {}
    for name in ("memory", "redis"):
        worker = Ours(
            f"ours-ordering-{name}", with_redis=name == "redis", integrations=_INTEGRATIONS
        )
        drained = drain(arena, worker, scale.drain_seconds, organizations=_INTEGRATIONS)
        figures[f"{name}_us"] = drained.cpu_us_per_event
        figures[f"{name}_per_second"] = drained.events_per_second
    figures["ratio"] = figures["redis_us"] / figures["memory_us"]
    return figures

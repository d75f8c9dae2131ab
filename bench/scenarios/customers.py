"""What does an event cost with a thousand integrations, its neighbours all being others'?

Events go round the integrations, so with a thousand of them hardly two of one integration are ever
in hand together and there is little to batch. The same without batching tells what the lanes
themselves cost.
"""

from __future__ import annotations

from bench.arena import Arena
from bench.contestants import Ours
from bench.drain import drain
from bench.scale import Scale

_FEW = 10


def customers(arena: Arena, scale: Scale, capacity: float) -> dict[str, float]:
    """CPU microseconds an event, with batching and without."""
    figures: dict[str, float] = {"few": _FEW, "many": scale.many_integrations}
    for mode, limits in (("batched", {}), ("single", {"messages_per_request": 1})):
        for name, count in (("few", _FEW), ("many", scale.many_integrations)):
            worker = Ours(f"ours-customers-{name}-{mode}", integrations=count, limits=limits)
            drained = drain(arena, worker, scale.drain_seconds, organizations=count)
            figures[f"{mode}_{name}_us"] = drained.cpu_us_per_event
        figures[f"{mode}_ratio"] = figures[f"{mode}_many_us"] / figures[f"{mode}_few_us"]
    return figures

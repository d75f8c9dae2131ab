"""What does an event cost with a thousand integrations instead of ten?

Three answers. `single`, without batching: what the lanes themselves cost. `batched`, each
integration getting a hundred events in a row: the same with batching on. `scattered`, events going
round the integrations: with a thousand of them hardly two of one integration are ever in hand
together, so there is nothing to batch, and each event pays for a request of its own.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Any, Final

from bench.arena import Arena
from bench.contestants import Ours
from bench.drain import drain
from bench.ratios import median_ratio
from bench.scale import Scale

_FEW = 10
_MODES: Final[tuple[tuple[str, dict[str, Any], int], ...]] = (
    ("single", {"messages_per_request": 1}, 1),
    ("batched", {}, 100),
    ("scattered", {}, 1),
)


def customers(arena: Arena, scale: Scale, capacity: float) -> dict[str, float]:
    """CPU microseconds an event, by mode; and the peak of the memory in MB."""
    figures: dict[str, float] = {"few": _FEW, "many": scale.many_integrations}
    peaks: dict[str, list[float]] = defaultdict(list)
    for mode, limits, in_a_row in _MODES:
        runs: dict[str, list[float]] = defaultdict(list)
        for _ in range(scale.repetitions):
            for name, count in (("few", _FEW), ("many", scale.many_integrations)):
                worker = Ours(f"ours-customers-{name}-{mode}", integrations=count, limits=limits)
                drained = drain(
                    arena, worker, scale.drain_seconds, organizations=count, in_a_row=in_a_row
                )
                runs[name].append(drained.cpu_us_per_event)
                peaks[name].append(drained.peak_memory_mb)
        for name, values in runs.items():
            figures[f"{mode}_{name}_us"] = statistics.median(values)
        figures[f"{mode}_ratio"] = median_ratio(runs["many"], runs["few"])
    figures |= {f"{name}_mb": max(values) for name, values in peaks.items()}
    return figures

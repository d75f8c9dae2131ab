"""From many runs to figures: medians, and ratios against the floor and the bare client."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bench.contestants import BARE, FLOOR, Contestant
from bench.drain import Drained
from bench.pace import Paced


def summarise(
    contestants: Sequence[Contestant],
    drained: Mapping[str, Sequence[Drained]],
    paced: Mapping[str, Mapping[int, Mapping[float, Paced]]],
) -> list[dict[str, Any]]:
    """One row for each contestant that has runs."""
    rows = [_row(one, drained[one.name], paced.get(one.name, {})) for one in contestants]
    costs = {row["name"]: row["cpu_us_per_event"] for row in rows}
    least = {row["name"]: row["cpu_us_per_event_least"] for row in rows}
    for row in rows:
        for rival in (FLOOR.name, BARE.name):
            if rival in costs:
                row[f"cpu_ratio_to_{rival}"] = row["cpu_us_per_event"] / costs[rival]
                row[f"least_ratio_to_{rival}"] = row["cpu_us_per_event_least"] / least[rival]
    return rows


def _row(
    contestant: Contestant,
    drained: Sequence[Drained],
    paced: Mapping[int, Mapping[float, Paced]],
) -> dict[str, Any]:
    costs = [one.cpu_us_per_event for one in drained]
    return {
        "name": contestant.name,
        "title": contestant.title,
        "cpu_us_per_event": statistics.median(costs),
        "cpu_us_per_event_least": min(costs),
        "cpu_us_per_event_runs": costs,
        "events_per_second": statistics.median(one.events_per_second for one in drained),
        "peak_memory_mb": max(one.peak_memory_mb for one in drained),
        "events_per_request": statistics.median(one.events_per_request for one in drained),
        "latency": {
            str(customers): {
                f"{rate:g}": {"p50_ms": one.p50_ms, "p99_ms": one.p99_ms, "p999_ms": one.p999_ms}
                for rate, one in by_rate.items()
            }
            for customers, by_rate in paced.items()
        },
    }

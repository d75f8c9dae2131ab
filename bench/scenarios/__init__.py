"""Situations that matter to a fleet, each compared with itself without the trouble.

A scenario is a function of the arena, the scale and the worker's capacity in events a second; it
returns its figures by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bench.arena import Arena
from bench.scale import Scale
from bench.scenarios.backlog import backlog
from bench.scenarios.customers import customers
from bench.scenarios.isolation import isolation
from bench.scenarios.latency import latency
from bench.scenarios.ordering import ordering
from bench.scenarios.parked import parked
from bench.scenarios.storm import storm
from bench.scenarios.workers import workers

Figures = dict[str, float]

SCENARIOS: Final[dict[str, Callable[[Arena, Scale, float], Figures]]] = {
    "latency": latency,
    "isolation": isolation,
    "storm": storm,
    "backlog": backlog,
    "parked": parked,
    "customers": customers,
    "ordering": ordering,
    "workers": workers,
}

"""How long and how large the benchmark is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Scale:
    """`drain_seconds` bounds one run that works off a queue. Of steady load `rate_seconds` is one
    point of the contestants' table, and `pace_seconds` one of a scenario.
    """

    name: str
    repetitions: int
    drain_seconds: float
    rate_seconds: float
    pace_seconds: float
    isolation_seconds: float
    backlog: int
    handled_of_backlog: int
    storm: int
    many_integrations: int = 1000


SHORT: Final = Scale("short", 3, 3.0, 20.0, 2.0, 10.0, 100_000, 20_000, 10_000)
FULL: Final = Scale("full", 5, 10.0, 60.0, 10.0, 45.0, 1_000_000, 150_000, 50_000)

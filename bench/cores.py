"""Which cores a contestant has: one for itself, as a deployed worker has.

Broker, stub and producer work for whoever is measured. On the same cores they would take the more
of them the better it is, and pauses that they cause would count as its own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cores:
    """Numbers of cores; the same ones on both sides where there is only one."""

    contestant: frozenset[int]
    others: frozenset[int]

    @property
    def together(self) -> frozenset[int]:
        return self.contestant | self.others


def share() -> Cores:
    """Give this process, and all that it will start, all cores but the last, which is for the
    contestant.
    """
    *others, last = sorted(os.sched_getaffinity(0))
    cores = Cores(frozenset([last]), frozenset(others or [last]))
    os.sched_setaffinity(0, cores.others)
    return cores

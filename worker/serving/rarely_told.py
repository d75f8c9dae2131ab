"""Log lines that anybody can cause: each is written once a minute, with how often it was due."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Final

EVERY_SECONDS: Final = 60.0


class RarelyTold:
    """Counts what is to be told between two log lines; times are in seconds, of any clock that goes
    on. There must be few different things to be told.
    """

    def __init__(self) -> None:
        self._told_at: dict[Hashable, float] = {}
        self._untold: dict[Hashable, int] = {}

    def count(self, what: Hashable, now: float) -> int:
        """Count `what` once more. How often it was counted since it was last told, where it is to
        be told now; else 0.
        """
        times = self._untold.get(what, 0) + 1
        if now - self._told_at.get(what, -math.inf) < EVERY_SECONDS:
            self._untold[what] = times
            return 0
        self._told_at[what], self._untold[what] = now, 0
        return times

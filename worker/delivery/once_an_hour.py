"""What is worth a line of the log once an hour, however often it happens. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

_HOUR_SECONDS: Final = 3600.0
_MOST: Final = 1000


class Hourly:
    """Remembers when something was told last, of at most a thousand things; `now` is in seconds of
    one monotonic clock.
    """

    def __init__(self) -> None:
        self._told_at: OrderedDict[str, float] = OrderedDict()

    def is_due(self, what: str, now: float) -> bool:
        """Whether `what` is to be told now; then it is due again in an hour.

        Above a thousand things within an hour no other one is told: who makes them up must not
        fill the log.
        """
        told_at = self._told_at
        while told_at and next(iter(told_at.values())) <= now - _HOUR_SECONDS:
            told_at.popitem(last=False)
        if what in told_at or len(told_at) >= _MOST:
            return False
        told_at[what] = now
        return True

"""How far the worker's clock is from the others', by the `Date` of their replies. Pure."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from statistics import median
from typing import Final

_KEPT: Final = 31
_ENOUGH: Final = 3


class ClockOffset:
    """The median of what the last replies said; one endpoint with a bad clock does not decide."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._offsets: deque[float] = deque(maxlen=_KEPT)

    def note(self, date: str | None) -> None:
        """A reply came with this `Date` (RFC 9110, section 6.6.1); what is none is ignored."""
        if not date:
            return
        try:
            moment = parsedate_to_datetime(date)
        except (ValueError, OverflowError):
            return
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        self._offsets.append((moment - epoch).total_seconds() - self._clock())

    @property
    def seconds(self) -> float | None:
        """By how much the others' clocks are ahead of ours; None while too few have said."""
        return median(self._offsets) if len(self._offsets) >= _ENOUGH else None

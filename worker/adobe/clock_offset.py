"""How far the worker's clock is from those of the hosts it asks, by the `Date` of their replies.
Pure.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from statistics import median, median_high, median_low
from typing import Final

_REPLIES_OF_A_HOST: Final = 5
_MOST_HOSTS: Final = 64
_ENOUGH_REPLIES: Final = 3


@lru_cache(maxsize=_MOST_HOSTS)  # replies of one second have the same
def _seconds_of(date: str) -> float | None:
    """Since 1970."""
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


class ClockOffset:
    """How far the worker's clock is from those of hosts. Each host has one voice, the median of its
    last replies, and the median of the hosts decides: neither a busy host with a bad clock nor a
    single bad reply does. Of too many hosts the one that was silent for longest is forgotten.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._hosts: OrderedDict[str, deque[float]] = OrderedDict()

    def note(self, host: str, date: str | None) -> None:
        """A reply of `host` came with this `Date` (RFC 9110, section 6.6.1); what is none is
        ignored.
        """
        if not date:
            return
        seconds = _seconds_of(date)
        if seconds is None:
            return
        offsets = self._hosts.setdefault(host, deque(maxlen=_REPLIES_OF_A_HOST))
        offsets.append(seconds - self._clock())
        self._hosts.move_to_end(host)
        if len(self._hosts) > _MOST_HOSTS:
            self._hosts.popitem(last=False)

    @property
    def seconds(self) -> float | None:
        """By how much the hosts' clocks are ahead of the worker's; None while too few have said.

        Of two in the middle the nearer to ours: where two hosts disagree, the one that agrees with
        us is right.
        """
        if sum(map(len, self._hosts.values())) < _ENOUGH_REPLIES:
            return None
        voices = [median(offsets) for offsets in self._hosts.values()]
        return min(median_low(voices), median_high(voices), key=abs)

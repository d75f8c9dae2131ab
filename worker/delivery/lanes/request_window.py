"""How many requests an integration may have in flight: additive increase, multiplicative decrease.

AIMD as in TCP's congestion avoidance (RFC 5681): while all goes well the window grows by about one
per round trip, and only if it was full, since an idle lane proves nothing; at the first sign of
trouble it is halved, once per round trip, since all requests of one round trip tell of the same
trouble. Pure.
"""

from __future__ import annotations


class RequestWindow:
    """`size` requests may be in flight, from 1 to `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = float(min(4, limit))
        self._epoch = 0

    @property
    def size(self) -> int:
        """Requests that may be in flight now."""
        return int(self._size)

    @property
    def epoch(self) -> int:
        """To be given back with the outcome of a request that starts now."""
        return self._epoch

    def set_limit(self, limit: int) -> None:
        """The configuration has changed."""
        self._limit = limit
        self._size = min(self._size, float(limit))

    def succeeded(self, in_flight: int) -> None:
        """A request went well while `in_flight` requests, itself included, were under way."""
        if in_flight >= self.size:
            self._size = min(float(self._limit), self._size + 1 / self._size)

    def overloaded(self, epoch: int) -> None:
        """A request of `epoch` met a timeout, a refusal by load, or no endpoint at all."""
        if epoch == self._epoch:
            self._size = max(1.0, self._size / 2)
            self._epoch += 1

"""How much may go now: requests in flight of an integration, and messages in one request. Pure.

The window is AIMD as in TCP's congestion avoidance (RFC 5681): while all goes well it grows by
about one per round trip, and only if it was full, since an idle lane proves nothing; at the first
sign of trouble it is halved, once per round trip, since all requests of one round trip tell of the
same trouble.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from worker.adobe.streaming import takes_batches
from worker.delivery.lanes.events_in_hand import Batch
from worker.delivery.lanes.waiting_events import Groups
from worker.integrations.model import Integration


class RequestWindow:
    """How many requests of a lane may be in flight: `size` of them, from 1 to `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = float(min(4, limit))
        self._epoch = 0

    @property
    def size(self) -> int:
        """Requests of the lane that may be in flight now."""
        return int(self._size)

    @property
    def epoch(self) -> int:
        """How often the window was halved; a request that starts now gives it back at its end."""
        return self._epoch

    def set_limit(self, limit: int) -> None:
        """A changed configuration lets so many requests be in flight at most."""
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


_BATCH_BYTES: Final = 900_000
"""Bytes of events in one request. A message is mostly smaller than its event; where it isn't, the
round splits."""


def messages_per_request(integration: Integration) -> int:
    """The most messages that one request of an integration may have."""
    return integration.limits.messages_per_request if takes_batches(integration) else 1


def batch_of(waiting: Groups, most: int, events_in_requests: int, most_events: int) -> Batch:
    """The batch of the next request: at most so many messages of these; empty if too much is in
    requests. `most_events` of a lane may be in requests, beside one message that has more by
    itself.
    """
    batch: Batch = []
    size = 0
    events = events_in_requests
    if events >= most_events:
        return batch
    for group in list(islice(waiting.values(), most)):
        for one in group:
            size += len(one.message.body)
            events += 1
            most = min(most, one.batch_limit)
        if batch and (size > _BATCH_BYTES or len(batch) >= most):
            break
        if events > most_events and (batch or events_in_requests):
            break  # what is more than that by itself goes when nothing else is under way
        batch.append(group)
    return batch

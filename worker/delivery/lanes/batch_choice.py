"""Which of the waiting messages go in one request. Pure."""

from __future__ import annotations

from itertools import islice
from typing import Final

from worker.adobe.streaming import takes_batches
from worker.delivery.lanes.under_way_counts import Batch
from worker.delivery.lanes.waiting_events import Groups
from worker.integrations.model import Integration

_BATCH_BYTES: Final = 900_000
"""Bytes of events in one request. A message is mostly smaller than its event; where it isn't, the
round splits."""


def messages_per_request(integration: Integration) -> int:
    """The most messages of one request."""
    return integration.limits.messages_per_request if takes_batches(integration) else 1


def batch_of(waiting: Groups, most: int, events_in_requests: int, most_events: int) -> Batch:
    """At most so many messages of these; empty if too much is in requests. `most_events` of a lane
    may be in requests, beside one message that has more by itself.
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

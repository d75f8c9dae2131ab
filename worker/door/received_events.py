"""Puts the door's events on record: counted, and with a receipt where the settings ask for them.

Conservation begins here: an answer 202 is given when its event is on the queue and its receipt on
record, or known to have none.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

import orjson

from worker.delivery.receipt_facts import EventFacts, facts_of
from worker.delivery.receipting import ReceiptBook
from worker.door.door_metrics import DoorMetrics
from worker.door.sent_events import Arrival
from worker.events import Envelope
from worker.evidence.receipt import ReceiptFields
from worker.moments import now_ms
from worker.ordering.user_digests import UserKeys
from worker.redaction import shown_id, shown_name


class ReceivedEvents:
    """The `Record` of a door's events. `book` is where receipts are written, None for nowhere. By
    `keys`, as workers have them, a snapshot is called in receipts as workers call it.
    """

    def __init__(self, metrics: DoorMetrics, keys: UserKeys) -> None:
        self._metrics = metrics
        self._keys = keys
        self.book: ReceiptBook | None = None
        self.received = 0
        """Events that RabbitMQ has confirmed since the start."""

    def arrival_of(self, event: Envelope, body: bytes) -> Arrival:
        """What is to be known of an event when it is confirmed, see `Record`."""
        if self.book is None:
            return Arrival(event.kind, None)
        told = self._keys.without_person(event)
        return Arrival(event.kind, facts_of(told, body, None))

    def confirmed(self, arrival: Arrival, is_late: bool, then: Callable[[], None]) -> None:
        """Put a confirmed event on record, see `Record`."""
        self.received += 1
        self._metrics.count_confirmed(arrival.kind, is_late)
        if self.book is None or arrival.facts is None:
            then()
        else:
            self.book.write(_receipt(arrival.facts), then)


def _receipt(facts: EventFacts) -> ReceiptFields:
    organization_id = facts.organization_id
    return {
        "event": facts.event_id,
        "updated_at": facts.updated_at_ms,
        "integration": "",
        "organization": shown_id(organization_id) or shown_name(organization_id) or "",
        "delivery": 0,
        "outcome": "received",
        "reason": "",
        "attempt": 0,
        "user": None,
        "choice": None,
        "attributes": {},
        "event_at": facts.event_at_ms,
        "due_at": None,
        "status": None,
        "xaction": None,
        "config": "",
        "at": now_ms(),
    }


class DoorFacts:
    """What the receipts ask of a door, see `Facts`; `in_hand` are events that were sent."""

    def __init__(self, received: ReceivedEvents, in_hand: Callable[[], int]) -> None:
        self._received = received
        self.in_hand = in_hand
        self._started_at_ms = now_ms()
        self._version = version("consent-worker")

    @staticmethod
    def now_ms() -> int:
        """The time in ms since 1970."""
        return now_ms()

    def state_row(self, unreceipted: dict[str, int]) -> bytes:
        """The row of kind `state`: a door takes nothing off a queue, and has no lanes."""
        said = {"version": self._version, "started_at": self._started_at_ms}
        said |= {"taken": 0, "settled": 0, "in_hand": 0, "returned": 0}
        said |= {"received": self._received.received, "unreceipted": unreceipted}
        return orjson.dumps(said)

"""Which events of a door are not confirmed, or confirmed and not on record, and their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from worker.delivery.receipt_facts import EventFacts
from worker.door.answers import AnswerCode
from worker.events import Envelope
from worker.wire.confirms import Outgoing

MOST_UNCONFIRMED: Final = 10_000
MOST_UNCONFIRMED_BYTES: Final = 64 * 1024 * 1024
"""Of bodies, those included to which Didomi was told to come again."""


class Arrival(NamedTuple):
    """What is kept of an event once it is sent; what was read of its body would be many times as
    large. `facts` are for its receipt, None where none is written.
    """

    kind: str
    facts: EventFacts | None


class Record(Protocol):
    """Is told of every event that RabbitMQ has confirmed."""

    def arrival_of(self, event: Envelope, body: bytes) -> Arrival:
        """What is to be known of an event when it is confirmed."""
        ...

    def confirmed(self, arrival: Arrival, is_late: bool, then: Callable[[], None]) -> None:
        """Call `then` once a confirmed event is on record, or knowingly is not. It `is_late` where
        Didomi was told to send the event again.
        """
        ...


class SentEvent:
    """An event that was sent to RabbitMQ; times are those of the loop, in seconds."""

    __slots__ = ("answered", "arrival", "ends_at", "sent_at")

    def __init__(
        self,
        arrival: Arrival,
        answered: asyncio.Future[AnswerCode],
        ends_at: float,
        sent_at: float,
    ) -> None:
        self.arrival = arrival
        self.answered = answered
        self.ends_at = ends_at
        self.sent_at = sent_at

    def tell(self, code: AnswerCode) -> None:
        """Tell what is to be answered for the event; the first word counts."""
        _tell(self.answered, code)


def _tell(answered: asyncio.Future[AnswerCode], code: AnswerCode) -> None:
    if not answered.done():
        answered.set_result(code)


class SentEvents:
    """The events that one door has sent to RabbitMQ, until they are on record."""

    def __init__(self) -> None:
        self._unconfirmed: dict[Outgoing, SentEvent] = {}  # oldest first
        self._unrecorded: dict[asyncio.Future[AnswerCode], float] = {}
        """When each is to be told at the latest; its event is not needed any more."""
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._unconfirmed) + len(self._unrecorded)

    @property
    def is_full(self) -> bool:
        """Whether as many events are not confirmed as may be."""
        return len(self._unconfirmed) >= MOST_UNCONFIRMED or self._bytes >= MOST_UNCONFIRMED_BYTES

    @property
    def unconfirmed(self) -> list[Outgoing]:
        """The messages that are not confirmed, the oldest first."""
        return list(self._unconfirmed)

    def has(self, one: Outgoing) -> bool:
        """Whether a message is not confirmed."""
        return one in self._unconfirmed

    def oldest_at(self) -> dict[str, float]:
        """When the oldest event was sent that is not confirmed, by its routing key."""
        found: dict[str, float] = {}
        for one, event in self._unconfirmed.items():
            found.setdefault(one.routing_key, event.sent_at)
        return found

    def add(self, one: Outgoing, event: SentEvent) -> None:
        """The event is sent as the message `one`."""
        self._unconfirmed[one] = event
        self._bytes += len(one.body)

    def take(self, one: Outgoing) -> SentEvent | None:
        """The broker has said what it does with the message; None where nobody waits for that."""
        event = self._unconfirmed.pop(one, None)
        if event is not None:
            self._bytes -= len(one.body)
        return event

    def confirmed(self, event: SentEvent) -> None:
        """The event is confirmed, and to be put on record."""
        self._unrecorded[event.answered] = event.ends_at

    def recorded(self, answered: asyncio.Future[AnswerCode]) -> None:
        """The event that is answered by this is on record, or knowingly is not."""
        self._unrecorded.pop(answered, None)
        _tell(answered, AnswerCode.ACCEPTED)

    def expire(self, now: float) -> None:
        """Tell the events that must be answered now."""
        for one in self._unconfirmed.values():
            if one.ends_at <= now:
                one.tell(AnswerCode.BROKER_LATE)
        for answered, ends_at in self._unrecorded.items():
            if ends_at <= now:
                _tell(answered, AnswerCode.ACCEPTED)

    def blocked(self) -> None:
        """The broker takes nothing now; what was sent stays on its way."""
        for one in self._unconfirmed.values():
            one.tell(AnswerCode.BROKER_BLOCKED)

    def unblocked(self, now: float) -> None:
        """The broker takes events again: what lay in the connection is taken in only now."""
        for one in self._unconfirmed.values():
            one.sent_at = now

    def lost(self, messages: Iterable[Outgoing]) -> None:
        """Nobody will hear what became of those `messages` that are not confirmed."""
        for one in messages:
            event = self.take(one)
            if event is not None:
                event.tell(AnswerCode.BROKER_AWAY)

"""A message in hand, and what the rooms above and the broker's parts know of each other.

Delivery imports this module alone of the way that a message comes: it handles what an `Incoming`
is, whatever consumer, bundle or test it came by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from worker.wire.property_reader import (
    Properties,
    UnreadableProperties,
    has_headers,
    read_properties,
)
from worker.wire.table_reader import Budget

_NO_HEADERS: dict[str, Any] = {}


class Host(Protocol):
    """The session that a message came by."""

    @property
    def lost(self) -> asyncio.Event:
        """Set when the session is lost: the broker has what was in hand again."""
        ...

    def publish(
        self,
        exchange: str,
        routing_key: str,
        properties: Properties,
        body: bytes,
        then: Callable[[], None],
        *,
        mandatory: bool = True,
        too_large: Callable[[int], None] | None = None,
    ) -> None:
        """Publish a message until the broker has confirmed it, and call `then`; never, if the
        session is lost before. Instead of `then`, `too_large` is called with the broker's bound
        (bytes) for a body above that.
        """
        ...


class Source(Protocol):
    """The intake that a message came by."""

    @property
    def host(self) -> Host:
        """The session that the intake belongs to."""
        ...

    @property
    def queue(self) -> str:
        """The name of the intake's queue."""
        ...

    @property
    def room(self) -> int:
        """How many events the intake may have in hand."""
        ...

    @property
    def events_each(self) -> int:
        """How many events a message of the intake is reckoned to have."""
        ...

    @property
    def free(self) -> int:
        """How many events the intake has room for."""
        ...

    @property
    def taken(self) -> int:
        """How many messages have come by the intake."""
        ...

    def gives_way(self) -> bool:
        """Whether another intake goes first now."""
        ...


class Holder(Protocol):
    """What acknowledges a message: its channel's `Acknowledging`, or the bundle it came in."""

    @property
    def source(self) -> Source:
        """The intake that the message came by."""
        ...

    def acknowledge(self, tag: int) -> None:
        """The message with `tag` is done with."""
        ...

    def refuse(self, tag: int) -> None:
        """The broker is to make a dead letter of the message with `tag` as it is."""
        ...

    def note_record(self) -> None:
        """All that became of one of the holder's messages is on record."""
        ...

    def place_of(self, tag: int) -> object:
        """What is in hand because of the message with `tag`."""
        ...


class Incoming:
    """A message in hand. It is acknowledged when each of its deliveries is done."""

    __slots__ = (
        *("_content_header", "_holder", "_open_records", "_properties"),
        *("body", "headers", "is_readable", "open_deliveries", "source", "tag"),
    )

    def __init__(
        self,
        tag: int,
        content_header: bytes,
        body: bytes,
        holder: Holder,
        budget: Budget | None = None,
    ) -> None:
        self.tag = tag
        self._content_header = content_header
        self._properties: Properties | None = None
        self.body = body
        self._holder = holder
        self.source = holder.source
        self.open_deliveries = self._open_records = 1
        self.headers = _NO_HEADERS
        self.is_readable = True
        """Whether all of its headers, if it has any, could be read; if not, `headers` is empty."""
        if has_headers(content_header):
            self._properties = read_properties(content_header, budget)
            self.is_readable = not isinstance(self._properties, UnreadableProperties)
            if self.is_readable:
                self.headers = self._properties.headers or _NO_HEADERS

    @property
    def host(self) -> Host:
        """The session that the message came by, the only one by which it can be acknowledged."""
        return self.source.host

    @property
    def queue(self) -> str:
        return self.source.queue

    @property
    def place(self) -> object:
        """Stands for what is in hand by the message: itself, or the bundle that it came in."""
        return self._holder.place_of(self.tag)

    @property
    def is_ours(self) -> bool:
        """Whether the broker still regards the message as in our hands."""
        return not self.source.host.lost.is_set()

    @property
    def properties(self) -> Properties:
        """The message's properties as the broker delivered them, as far as they can be decoded."""
        if self._properties is None:
            self._properties = read_properties(self._content_header)
        return self._properties

    def renewed(self) -> Incoming:
        """The same message anew, as one delivery; what the old one still does has no effect."""
        self.abandon()
        return Incoming(self.tag, self._content_header, self.body, self._holder)

    def abandon(self) -> bool:
        """Whether the message was still in hand; whatever its deliveries still do has no effect."""
        was_in_hand = self.open_deliveries > 0
        self.open_deliveries = self._open_records = -1
        return was_in_hand

    def refuse(self, _most_bytes: int) -> None:
        """The broker takes no successor of the message, since its body is above the broker's bound:
        it makes a dead letter of the message as it is. What its deliveries still do has no effect.
        """
        if self.is_ours and self.abandon():
            self._holder.refuse(self.tag)

    def divide(self, deliveries: int) -> None:
        """The message has so many deliveries, and none of them is done."""
        self.open_deliveries = self._open_records = deliveries

    def done(self) -> None:
        """A delivery of the message is durable; after the last one it will be acknowledged."""
        self.open_deliveries -= 1
        if self.open_deliveries == 0:
            self._holder.acknowledge(self.tag)

    def note_record(self) -> None:
        """What became of a delivery of the message is on record, or knowingly is not. Counted apart
        from `done`: who acknowledges and forgets this is found out by it.
        """
        self._open_records -= 1
        if self._open_records == 0:
            self._holder.note_record()

    def done_on_record(self) -> None:
        """A delivery of the message is durable, and has its receipt or is to have none."""
        self._open_records -= 1  # as `note_record`, whose call would cost each event as much again
        if self._open_records == 0:
            self._holder.note_record()
        self.done()


class Handler(Protocol):
    """Is given every message, and told when a session ends."""

    def handle(self, message: Incoming) -> None:
        """Handle a message: neither block nor raise; each of its deliveries is done in the end."""
        ...

    def give_back(self, host: Host) -> None:
        """Publish again what came by session `host`, is in hand, and is not done at once: the
        session is to end. Called again and again until nothing is in hand.
        """
        ...

    def session_ended(self, host: Host) -> None:
        """Let go of messages that came by session `host`: the broker has them again."""
        ...

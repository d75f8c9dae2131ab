"""Publishes with confirms; messages of the same moment go in one write.

aiormq publishes with a lock, a timeout and a task's worth of futures for each message, which costs
about five times what this does. Every parked event and every retry is such a publish, so what it
costs is what a customer's broken endpoint costs the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pamqp.frame
from aiormq import Channel
from aiormq.abc import ChannelFrame, ConfirmationFrameType
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from worker.wire.frames import AROUND_BYTES, content, encode_content_header
from worker.wire.property_reader import Properties

GATHER_SECONDS: Final = 0.05
"""What is published meanwhile goes in one write: at 500 messages a second, the broker needs half as
much for bursts of 25 as for bursts of ten."""


@dataclass(slots=True, eq=False)
class Outgoing:
    """One message on its way to the broker; `then` is called once it is confirmed. Or `too_large`,
    if given, with the broker's bound in bytes, where the body is above that.

    Raises ValueError or TypeError for what AMQP can't carry.
    """

    exchange: str
    routing_key: str
    properties: Properties
    body: bytes
    mandatory: bool
    then: Callable[[], None]
    too_large: Callable[[int], None] | None = None
    header: bytes = field(init=False)

    def __post_init__(self) -> None:
        # At once, while who publishes can still do something else with what can't be encoded.
        self.header = encode_content_header(self.properties, len(self.body))


UNBOUNDED_FRAME_BYTES: Final = 128 * 1024
"""The size of our frames where the broker bounds none, as RabbitMQ does by default."""
REFUSED: Final = "refused"
"""What `answered` is told of a message that the broker has not taken in."""


class ConfirmChannel(Channel):
    """Calls `answered` for each publish with why it failed, or with "" when it is confirmed. All
    that is published within `gather_seconds` goes in one write.
    """

    gather_seconds = GATHER_SECONDS
    answered: Callable[[Outgoing, str], None]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.unconfirmed: dict[int, Outgoing] = {}
        self._returned: set[int] = set()
        self._frames: list[bytes] = []
        self._heads: dict[tuple[str, str, bool], bytes] = {}
        self._is_writing = False
        negotiated_bytes = self.max_content_size + self.CONTENT_FRAME_SIZE
        self._frame_bytes = negotiated_bytes or UNBOUNDED_FRAME_BYTES  # 0 stands for no bound
        self.most_header_bytes = self._frame_bytes - AROUND_BYTES
        """Of a content header: it travels in one frame."""

    def send(self, one: Outgoing) -> None:
        """Number the message and write it soon, in order."""
        rest = content(self.number, one.header, one.body, self._frame_bytes)
        self._frames += (self._head(one.exchange, one.routing_key, one.mandatory), rest)
        self.delivery_tag += 1
        self.unconfirmed[self.delivery_tag] = one
        if not self._is_writing:
            self._is_writing = True
            self.create_task(self._write())

    def _head(self, exchange: str, routing_key: str, mandatory: bool) -> bytes:
        """The first frame of a message, which is the same for all with one destination."""
        destination = (exchange, routing_key, mandatory)
        head = self._heads.get(destination)
        if head is None:
            command = Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=mandatory)
            head = self._heads[destination] = pamqp.frame.marshal(command, self.number)
        return head

    async def _write(self) -> None:
        # One task at a time: two that wait for room in the queue might go in either order, and the
        # broker would confirm other messages than these by their numbers.
        while self._frames:
            await asyncio.sleep(self.gather_seconds)
            payload = b"".join(self._frames)
            self._frames.clear()
            await self.write_queue.put(ChannelFrame(payload=payload, should_close=False))
        self._is_writing = False

    async def _on_confirm_frame(self, frame: ConfirmationFrameType) -> None:
        last = frame.delivery_tag or 0
        tags = [last]
        if not isinstance(frame, Basic.Reject) and frame.multiple:
            # In the order of numbering, and none is ever left out: the confirmed ones come first.
            tags = []
            for tag in self.unconfirmed:
                if tag > last:
                    break
                tags.append(tag)
        problem = "" if isinstance(frame, Basic.Ack) else REFUSED
        for tag in tags:
            # One that is unknown was given up before.
            if (one := self.unconfirmed.pop(tag, None)) is not None:
                self.answered(one, "returned" if tag in self._returned else problem)
            self._returned.discard(tag)

    async def _on_return_frame(self, frame: Basic.Return) -> None:
        # The confirm of a message that fitted no queue follows (RabbitMQ documentation, "When Will
        # Published Messages Be Confirmed by the Broker?").
        header = await self._get_frame()
        if not isinstance(header, ContentHeader):
            raise ValueError("a returned message without a header")
        await self._read_content(frame, header)
        for tag, one in self.unconfirmed.items():
            if one.properties.message_id == header.properties.message_id:
                self._returned.add(tag)
                break  # each has an id of its own, and returns come in the order of publishing

"""A channel that reads a stream of RabbitMQ from a chosen record on, by AMQP 0-9-1.

A consumer of a stream must have a prefetch and acknowledge, and finds the offset of each record in
a header of the broker's own (RabbitMQ documentation, "Streams: Consuming").
"""

from __future__ import annotations

from typing import Final, Literal

from aiormq.abc import DeliveredMessage

from worker.wire.channels import TIMEOUT_SECONDS, ConsumerChannel
from worker.wire.property_reader import number_in_headers

_OFFSET: Final = "x-stream-offset"

Place = Literal["first", "last"] | int
"""Where to begin. `last` is the last chunk, which may have several records; an offset that is no
more, or not yet, stands for the beginning or the end of the stream."""


class StreamChannel(ConsumerChannel):
    """For one consumer of a stream, whose messages come by the tap of its connection."""

    async def consume_from(self, queue: str, offset: Place, prefetch: int) -> None:
        """Start consuming a stream at `offset`. Raises what the broker answers."""
        await self.basic_qos(prefetch_count=prefetch, timeout=TIMEOUT_SECONDS)
        await self.basic_consume(
            queue, _never_called, arguments={_OFFSET: offset}, timeout=TIMEOUT_SECONDS
        )

    async def acknowledge_to(self, tag: int) -> None:
        """Acknowledge all records of the stream up to the delivery `tag`."""
        await self.basic_ack(tag, multiple=True)


def offset_in(content_header: bytes) -> int | None:
    """The offset that the broker has put into a content header, None where it can't be read."""
    offset = number_in_headers(content_header, _OFFSET)
    return offset if offset is not None and offset >= 0 else None


async def _never_called(message: DeliveredMessage) -> None:
    raise AssertionError("a message went past the listener of its channel")

"""Channels of aiormq, opened so that a subclass can have its methods for single frames."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from aio_pika.abc import AbstractConnection
from aiormq import Channel
from aiormq.abc import ChannelFrame, DeliveredMessage
from aiormq.exceptions import AMQPError, ChannelInvalidStateError, PublishError

from worker.wire.frames import acknowledgement

TIMEOUT_SECONDS = 5.0


def tells_of_the_line(error: Exception) -> bool:
    """Whether `error` is the broker's or the line's, and no mistake of ours.

    aiormq gives a bare `Exception` to what is under way when a connection ends between two frames.
    """
    return type(error) is Exception or isinstance(
        error, (AMQPError, PublishError, TimeoutError, OSError, RuntimeError)
    )


class ConsumerChannel(Channel):
    """For one consumer, whose messages are taken off the line before (`deliveries`)."""

    async def consume(self, queue: str) -> str:
        """Start consuming; gives the consumer tag. Raises what the broker answers."""
        answer = await self.basic_consume(queue, _never_called, timeout=TIMEOUT_SECONDS)
        return answer.consumer_tag or ""

    async def acknowledge(self, tags: Iterable[int]) -> None:
        """Acknowledge each of `tags` alone, all in one write. Raises when the channel is closed."""
        if self.is_closed:
            raise ChannelInvalidStateError("the channel is closed")
        frames = b"".join(acknowledgement(self.number, tag) for tag in tags)
        await self.write_queue.put(ChannelFrame(frames, should_close=False))


async def _never_called(message: DeliveredMessage) -> None:
    raise AssertionError("a message went past the one who listens to its channel")


Kind = TypeVar("Kind", bound=Channel)


async def open_channel(
    connection: AbstractConnection, kind: type[Kind], *, confirms: bool = False
) -> Kind:
    """A new channel on the line of `connection`. Raises what the broker answers."""
    transport = connection.transport
    if transport is None:
        raise ConnectionError("the connection is closed")
    line = transport.connection
    # As aiormq itself finds a number; nothing is awaited before it is taken.
    number = max(line.channels, default=0) + 1
    channel = kind(line, number, publisher_confirms=confirms)
    line.channels[number] = channel
    await channel.open(timeout=TIMEOUT_SECONDS)
    return channel

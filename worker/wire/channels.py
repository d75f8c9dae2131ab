"""Channels of aiormq, opened so that a subclass can have its methods for single frames."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from aio_pika.abc import AbstractConnection
from aiormq import Channel
from aiormq.abc import ChannelFrame, DeliveredMessage
from aiormq.exceptions import ChannelInvalidStateError

from worker.wire.frames import acknowledgement

TIMEOUT_SECONDS: Final = 5.0


class ConsumerChannel(Channel):
    """A channel for one consumer; messages come by the tap of its connection (`message_tap`)."""

    async def consume(self, queue: str) -> str:
        """Start consuming a queue; gives the consumer tag. Raises what the broker answers."""
        answer = await self.basic_consume(queue, _never_called, timeout=TIMEOUT_SECONDS)
        return answer.consumer_tag or ""

    def on_cancelled(self, then: Callable[[], None]) -> None:
        """Call `then` when the broker cancels the consumer."""
        self.on_consumer_cancel_callbacks.add(lambda *_: then())

    async def acknowledge(self, tags: Iterable[int]) -> None:
        """Acknowledge each of `tags` alone, all in one write. Raises when the channel is closed."""
        if self.is_closed:
            raise ChannelInvalidStateError("the channel is closed")
        frames = b"".join(acknowledgement(self.number, tag) for tag in tags)
        await self.write_queue.put(ChannelFrame(frames, should_close=False))


async def _never_called(message: DeliveredMessage) -> None:
    raise AssertionError("a message went past the listener of its channel")


def on_closed(channel: Channel, then: Callable[[], None]) -> None:
    """Call `then` when `channel` is closed, whoever closes it and for whatever reason."""

    def closed(closing: asyncio.Future[Any]) -> None:
        closing.cancelled() or closing.exception()  # asked for, or asyncio would complain
        then()

    channel.closing.add_done_callback(closed)


def why_closed(channel: Channel) -> BaseException | None:
    """What has closed `channel`; None while it is open, and where nobody says."""
    if not channel.is_closed or channel.closing.cancelled():
        return None
    return channel.closing.exception()


Kind = TypeVar("Kind", bound=Channel)


async def open_channel(
    connection: AbstractConnection, kind: type[Kind], *, confirms: bool = False
) -> Kind:
    """A new channel of `connection`. Raises what the broker answers."""
    transport = connection.transport
    if transport is None:
        raise ConnectionError("the connection is closed")
    inner = transport.connection
    # As aiormq itself finds a number; nothing is awaited before it is taken.
    number = max(inner.channels, default=0) + 1
    channel = kind(inner, number, publisher_confirms=confirms)
    inner.channels[number] = channel
    await channel.open(timeout=TIMEOUT_SECONDS)
    return channel

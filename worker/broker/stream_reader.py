"""Reads a stream by AMQP 0-9-1, from any place and as often as wanted: nothing is taken off it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

from worker.errors import ServerTrouble
from worker.wire.connecting import ChannelPreconditionFailed

_OFFSET: Final = "x-stream-offset"
_PREFETCH: Final = 400
_ACKNOWLEDGED_EACH: Final = 100
_SILENT_SECONDS: Final = 1.0
"""When nothing more of the last chunk is to be expected."""

Place = str | int
"""`first`, `last` (the last chunk, which may have several messages), `next`, or an offset."""


class NoStream(ServerTrouble):
    """A queue of that name is none that can be read more than once."""


class StreamMessage(NamedTuple):
    """One message and its place."""

    offset: int
    body: bytes


class StreamReader:
    """Reads `queue` by channels of `connection`, one after the other or at once."""

    def __init__(self, connection: AbstractConnection, queue: str) -> None:
        self._connection = connection
        self._queue = queue

    async def last_offset(self) -> int | None:
        """The place of what was written last; None where nothing was. Raises what the broker
        answers, and `NoStream`.
        """
        last = None
        async with self._consuming("last") as arriving:
            while True:
                try:
                    message = await asyncio.wait_for(arriving.get(), _SILENT_SECONDS)
                except TimeoutError:
                    return last
                last = self._offset_of(message)
                await message.ack()

    async def read(self, start: Place, last: int | None = None) -> AsyncIterator[StreamMessage]:
        """What is there from `start` on, up to the offset `last`; without one it waits for more,
        without end. Raises what the broker answers, and `NoStream`.
        """
        async with self._consuming(start) as arriving:
            number = 0
            while True:
                message = await arriving.get()
                offset = self._offset_of(message)
                # A consumer is given whole chunks, which may begin before its offset.
                if not isinstance(start, int) or offset >= start:
                    yield StreamMessage(offset, message.body)
                number += 1
                if number % _ACKNOWLEDGED_EACH == 0:
                    await message.ack(multiple=True)
                if last is not None and offset >= last:
                    return

    @asynccontextmanager
    async def _consuming(
        self, start: Place
    ) -> AsyncIterator[asyncio.Queue[AbstractIncomingMessage]]:
        arriving: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        channel = await self._connection.channel(publisher_confirms=False)
        await channel.set_qos(prefetch_count=_PREFETCH)
        queue = await channel.get_queue(self._queue, ensure=True)
        try:
            tag = await queue.consume(arriving.put, arguments={_OFFSET: start})
        except ChannelPreconditionFailed as error:
            if "replica" in str(error):  # a node that starts, or a stream that was made just now
                raise NoStream(
                    f"queue {self._queue} has no running replica at this node of RabbitMQ: try "
                    "again, or connect to another node"
                ) from None
            raise self._no_stream() from None
        try:
            yield arriving
        finally:
            if not channel.is_closed:
                await queue.cancel(tag)
                await channel.close()

    def _offset_of(self, message: AbstractIncomingMessage) -> int:
        offset = message.headers.get(_OFFSET)
        if not isinstance(offset, int):
            raise self._no_stream()
        return offset

    def _no_stream(self) -> NoStream:
        return NoStream(f"queue {self._queue} is no stream; nothing was taken off it")

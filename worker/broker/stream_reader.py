"""Reads a stream from any place and as often as wanted: nothing is taken off it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal

from aio_pika.abc import AbstractConnection

from worker.broker.stream_consumer import Record, StreamConsumer
from worker.errors import ServerTrouble
from worker.wire.connecting import is_connection_error
from worker.wire.frame_splitter import FrameSplitter
from worker.wire.stream_channel import Place

LOOK_SECONDS: Final = 5.0
"""For the first record: a node that has just started, or whose disk is busy, takes a while. What it
did not give then it may give later."""
_SILENT_SECONDS: Final = 1.0
_MOST_CHUNK_SECONDS: Final = 2.0
"""When nothing more of the last chunk is to be expected: after so long a silence, or so long at
most, since more may be written all the time."""
_STALLED_SECONDS: Final = 30.0
"""When nothing comes for so long, though there is more."""


class StreamSilent(ServerTrouble):
    """The stream has records, and the broker does not give them."""


class StreamReader:
    """Reads the stream `queue` by channels of `connection`, which `splitter` taps, one after the
    other or at once. Methods raise what the broker answers, `ConnectionError` for what is lost, and
    `NoStream`.
    """

    def __init__(self, connection: AbstractConnection, splitter: FrameSplitter, queue: str) -> None:
        self._connection = connection
        self._splitter = splitter
        self._queue = queue

    async def look(self, start: int | Literal["first"]) -> Record | None:
        """The record of the stream at `start`, or the first one after it; None where none came in
        time, which does not say that there is none.
        """
        ends_at = time.monotonic() + LOOK_SECONDS
        async with self._consuming(start) as consumer:
            while (left := ends_at - time.monotonic()) > 0:
                for record in await consumer.batch(left):
                    if _is_from(start, record):
                        return record
        return None

    async def last(self) -> Record | None:
        """The record written last, as far as this node of the broker knows; None as for `look`."""
        last = None
        async with self._consuming("last") as consumer:
            records = await consumer.batch(LOOK_SECONDS)
            ends_at = time.monotonic() + _MOST_CHUNK_SECONDS
            while records:
                last = records[-1]
                left = ends_at - time.monotonic()
                records = await consumer.batch(min(_SILENT_SECONDS, left)) if left > 0 else []
        return last

    async def last_offset(self) -> int | None:
        """The offset of the record written last; None where none was. Raises `StreamSilent`."""
        last = await self.last()
        if last is None and not await self._is_empty():
            raise StreamSilent(
                f"RabbitMQ gives none of the records of queue {self._queue}: the node may be "
                "starting, or be behind; try again"
            )
        return None if last is None else last.offset

    async def read(self, start: Place, last: int | None = None) -> AsyncIterator[Record]:
        """The records of the stream from `start` on, up to the offset `last`; without one it waits
        for more, without end. Raises `StreamSilent`.
        """
        async with self._consuming(start) as consumer:
            while True:
                records = await consumer.batch(_STALLED_SECONDS)
                if not records and last is not None:
                    raise StreamSilent(
                        f"RabbitMQ gives no more of queue {self._queue}, though there is more: try "
                        "again"
                    )
                for record in records:
                    if _is_from(start, record):
                        yield record
                    if last is not None and record.offset >= last:
                        return

    @asynccontextmanager
    async def _consuming(self, start: Place) -> AsyncIterator[StreamConsumer]:
        consumer = StreamConsumer(self._splitter, self._queue)
        try:
            await consumer.start(self._connection, start)
            yield consumer
        finally:
            await consumer.close()

    async def _is_empty(self) -> bool:
        """Whether the broker says so. It counts every few seconds only, so it is to be asked once
        nothing has come for long.
        """
        try:
            channel = await self._connection.channel(publisher_confirms=False)
            queue = await channel.declare_queue(self._queue, passive=True)
            count = queue.declaration_result.message_count
            await channel.close()
        except Exception as error:
            if not is_connection_error(error):
                raise
            return False
        return count == 0


def _is_from(start: Place, record: Record) -> bool:
    """A consumer may be given a whole chunk, which begins before the offset it asked for."""
    return not isinstance(start, int) or record.offset >= start

"""One consumer of a stream: reads its records in order, in batches, whoever wrote them.

What a record's headers are, and how large its body is, says anybody who may publish. So they come
by the tap of the connection, and a body that is too large for a message is dropped.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from typing import Final, NamedTuple

from aio_pika.abc import AbstractConnection

from worker.errors import ServerTrouble
from worker.evidence.heading import MOST_BODY_BYTES
from worker.wire.channels import on_closed, open_channel
from worker.wire.connecting import (
    CLOSE_TIMEOUT_SECONDS,
    ChannelPreconditionFailed,
    at_most,
    is_connection_error,
    told_as_lost,
)
from worker.wire.frame_splitter import FrameSplitter
from worker.wire.stream_channel import Place, StreamChannel, offset_in

PREFETCH: Final = 128
"""Records that the broker sends without an answer; one has a hundred receipts under load."""
MOST_BYTES: Final = 16 * 1024 * 1024
"""Of records that wait, beside the prefetch. The more are taken at once, the less each costs."""


class NoStream(ServerTrouble):
    """A queue of that name is no stream, or none that can be read at this node."""


class Record(NamedTuple):
    """A record of a stream; its body is empty where it was too large for a message."""

    offset: int
    body: bytes

    @property
    def digest(self) -> bytes:
        """Tells whether the same record still stands in the stream; 32 bytes."""
        return hashlib.sha256(self.body).digest()


class StreamConsumer:
    """Consumes the stream `queue` by a connection that `splitter` taps. Methods raise what the
    broker answers, and `ConnectionError` once channel or connection are lost.
    """

    def __init__(self, splitter: FrameSplitter, queue: str) -> None:
        self._splitter = splitter
        self._queue = queue
        self._connection: AbstractConnection | None = None
        self._channel: StreamChannel | None = None
        self._records: list[Record] = []
        self._bytes = 0
        self._unanswered = 0
        self._last_tag = 0
        self._answering: asyncio.Task[None] | None = None
        self._expected: int | None = None
        self._stirred = asyncio.Event()
        self._loss = ""
        self._is_closing = False

    async def start(self, connection: AbstractConnection, start: Place) -> None:
        """Read the stream from `start` on. Raises `NoStream`."""
        self._expected = start if isinstance(start, int) else None
        self._connection = connection
        connection.close_callbacks.add(self._on_lost_connection, weak=False)
        with told_as_lost():
            await self._consume(connection, start)

    async def _consume(self, connection: AbstractConnection, start: Place) -> None:
        channel = self._channel = await open_channel(connection, StreamChannel)
        self._splitter.listen(
            channel.number, self._on_message, self._on_refused, most_bytes=MOST_BODY_BYTES
        )
        on_closed(channel, lambda: self._lose("the channel ended"))
        channel.on_cancelled(lambda: self._lose("the stream was deleted, or its node is gone"))
        try:
            await channel.consume_from(self._queue, start, PREFETCH)
        except ChannelPreconditionFailed as error:
            raise NoStream(f"queue {self._queue} {_why_refused(error)}") from None

    async def batch(self, most_seconds: float) -> list[Record]:
        """The records that have come, in order; empty when none came for so long."""
        if not self._records and not self._loss:
            self._stirred.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(most_seconds):
                    await self._stirred.wait()
        if self._loss:
            raise ConnectionError(self._loss)
        records, self._records = self._records, []
        self._bytes = 0
        self._answer()
        return records

    def stir(self) -> None:
        """Have `batch` return with the records that have come."""
        self._stirred.set()

    def stop(self) -> None:
        """Ask for no more records: the connection is closed next."""
        if self._answering is not None:
            self._answering.cancel()

    async def close(self) -> None:
        """Read no more of the stream, on a connection that others use."""
        self._is_closing = True
        if self._answering is not None:
            # What is sent on a channel that is closed ends the whole connection.
            await asyncio.wait({self._answering}, timeout=CLOSE_TIMEOUT_SECONDS)
        self.stop()
        if self._connection is not None:
            self._connection.close_callbacks.discard(self._on_lost_connection)
        if self._channel is None:
            return
        if not self._channel.is_closed:
            await at_most(CLOSE_TIMEOUT_SECONDS, self._channel.close())
        self._splitter.stop_listening(self._channel.number)

    def _on_message(self, tag: int, content_header: bytes, body: bytes) -> None:
        # Where the broker does not tell the offset: they follow one another.
        offset = offset_in(content_header)
        if offset is None:
            offset = self._expected
        if offset is None:
            self._lose("RabbitMQ does not say where a record of the stream stands")
            return
        self._expected = offset + 1
        self._last_tag = tag
        self._records.append(Record(offset, body))
        self._bytes += len(body)
        self._unanswered += 1
        if self._unanswered >= PREFETCH // 2 and self._bytes < MOST_BYTES:
            self._answer()
        self._stirred.set()

    def _on_refused(self, tag: int, _: int, content_header: bytes) -> None:
        """Too large to be a message: it takes its place, without its body."""
        self._on_message(tag, content_header, b"")

    def _answer(self) -> None:
        """Ask for more. In a stream an acknowledgement is no more than that."""
        is_answering = self._answering is not None and not self._answering.done()
        if self._channel is None or self._is_closing:
            return
        if self._unanswered and not is_answering:
            self._answering = asyncio.create_task(self._acknowledge(self._channel))

    async def _acknowledge(self, channel: StreamChannel) -> None:
        try:
            least = 1
            while self._unanswered >= least and self._bytes < MOST_BYTES and not self._is_closing:
                self._unanswered = 0
                await channel.acknowledge_to(self._last_tag)
                least = PREFETCH // 4  # a few more are no reason for another one
        except Exception as error:
            if not is_connection_error(error):
                raise
            self._lose("the connection ended")

    def _on_lost_connection(self, *_: object) -> None:
        self._lose("the connection ended")

    def _lose(self, why: str) -> None:
        self._loss = self._loss or why
        self._stirred.set()


def _why_refused(error: ChannelPreconditionFailed) -> str:
    if "replica" in str(error):  # a node that starts, or a stream that was made just now
        return (
            "has no running replica at this node of RabbitMQ: try again, or connect to another node"
        )
    return "is no stream; nothing was taken off it"

"""Reads the stream of receipts in batches, on a connection of its own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final, Literal

from aio_pika.abc import AbstractConnection

from worker.evidence.heading import MOST_BODY_BYTES
from worker.ledger.records import Record
from worker.wire.channels import on_closed, open_channel
from worker.wire.connecting import (
    CLOSE_TIMEOUT_SECONDS,
    BrokerAddress,
    at_most,
    connect,
    is_connection_error,
)
from worker.wire.message_tap import TappedTransport
from worker.wire.stream_channel import StreamChannel, offset_in

PREFETCH: Final = 128
"""Records that the broker sends without an answer; one has a hundred receipts under load."""
MOST_BYTES: Final = 16 * 1024 * 1024
"""Of records that wait, beside the prefetch. The more are written at once, the less each costs."""
_LOOK_SECONDS: Final = 5.0


class RecordFeed:
    """One connection, and one consumer once it was started. Methods raise what the broker answers,
    and `ConnectionError` once it is lost.
    """

    def __init__(self, address: BrokerAddress, queue: str) -> None:
        self._address = address
        self._queue = queue
        self._transport = TappedTransport()
        self._connection: AbstractConnection | None = None
        self._channel: StreamChannel | None = None
        self._records: list[Record] = []
        self._bytes = 0
        self._unanswered = 0
        self._last_tag = 0
        self._answering: asyncio.Task[None] | None = None
        self._expected = 0
        self._stirred = asyncio.Event()
        self._loss = ""

    async def open(self) -> None:
        """Connect."""
        self._connection = await connect(self._address, "ledger", self._transport)
        self._connection.close_callbacks.add(
            lambda *_: self._lose("the connection ended"), weak=False
        )

    async def look(self, offset: int | Literal["first"]) -> Record | None:
        """The record at `offset`, or the first one after it; None where the stream has none."""
        found: asyncio.Future[Record] = asyncio.get_running_loop().create_future()

        wanted = 0 if offset == "first" else offset

        def on_message(_: int, content_header: bytes, body: bytes) -> None:
            record = Record(_known(offset_in(content_header), wanted), body)
            if record.offset >= wanted and not found.done():  # a chunk may begin before it
                found.set_result(record)

        channel = await open_channel(self._open_connection, StreamChannel)
        number = channel.number
        splitter = self._transport.splitter
        splitter.listen(
            number, on_message, lambda *_: on_message(0, b"", b""), most_bytes=MOST_BODY_BYTES
        )
        try:
            await channel.consume_from(self._queue, offset, PREFETCH)
            async with asyncio.timeout(_LOOK_SECONDS):
                return await found
        except TimeoutError:
            return None
        finally:
            if not channel.is_closed:
                await at_most(CLOSE_TIMEOUT_SECONDS, channel.close())
            splitter.stop_listening(number)

    async def start(self, offset: int) -> None:
        """Read from `offset` on."""
        channel = self._channel = await open_channel(self._open_connection, StreamChannel)
        self._expected = offset
        self._transport.splitter.listen(
            channel.number, self._on_message, self._on_refused, most_bytes=MOST_BODY_BYTES
        )
        on_closed(channel, lambda: self._lose("the channel ended"))
        channel.on_cancelled(lambda: self._lose("the stream was deleted, or its node is gone"))
        await channel.consume_from(self._queue, offset, PREFETCH)

    async def batch(self, most_seconds: float) -> list[Record]:
        """What has come, in order; empty when nothing came for so long."""
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
        """Have `batch` return."""
        self._stirred.set()

    async def close(self) -> None:
        """Let go of the connection."""
        if self._answering is not None:
            self._answering.cancel()
        if self._connection is not None:
            await at_most(CLOSE_TIMEOUT_SECONDS, self._connection.close())
        self._transport.abort()

    @property
    def _open_connection(self) -> AbstractConnection:
        if self._connection is None:
            raise ConnectionError("not connected")
        return self._connection

    def _on_message(self, tag: int, content_header: bytes, body: bytes) -> None:
        # Who fills the headers can hide the offset, but offsets follow one another.
        offset = _known(offset_in(content_header), self._expected)
        self._expected = offset + 1
        self._last_tag = tag
        self._records.append(Record(offset, body))
        self._bytes += len(body)
        self._unanswered += 1
        if self._unanswered >= PREFETCH // 2 and self._bytes < MOST_BYTES:
            self._answer()
        self._stirred.set()

    def _on_refused(self, tag: int, _: int) -> None:
        """Too large to be a message: it takes its place, without its body."""
        self._on_message(tag, b"", b"")

    def _answer(self) -> None:
        """Ask for more. In a stream an acknowledgement is no more than that."""
        is_answering = self._answering is not None and not self._answering.done()
        if self._channel is not None and self._unanswered and not is_answering:
            self._answering = asyncio.create_task(self._acknowledge(self._channel))

    async def _acknowledge(self, channel: StreamChannel) -> None:
        try:
            least = 1
            while self._unanswered >= least and self._bytes < MOST_BYTES:
                self._unanswered = 0
                await channel.acknowledge_to(self._last_tag)
                least = PREFETCH // 4  # a few more are no reason for another one
        except Exception as error:
            if not is_connection_error(error):
                raise
            self._lose("the connection ended")

    def _lose(self, why: str) -> None:
        self._loss = self._loss or why
        self._stirred.set()


def _known(offset: int | None, expected: int) -> int:
    return expected if offset is None else offset

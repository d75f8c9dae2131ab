"""Reads the stream of receipts in batches, on a connection of its own."""

from __future__ import annotations

from typing import Literal

from aio_pika.abc import AbstractConnection

from worker.broker.stream_consumer import Record, StreamConsumer
from worker.broker.stream_reader import StreamReader
from worker.wire.connecting import CLOSE_TIMEOUT_SECONDS, BrokerAddress, at_most, connect
from worker.wire.message_tap import TappedTransport


class RecordFeed:
    """Reads the stream on one connection, with one consumer once it was started. Methods raise what
    the broker answers, `NoStream`, and `ConnectionError` once the connection is lost.
    """

    def __init__(self, address: BrokerAddress, queue: str) -> None:
        self._address = address
        self._queue = queue
        self._transport = TappedTransport()
        self._connection: AbstractConnection | None = None
        self._consumer: StreamConsumer | None = None

    async def open(self) -> None:
        """Connect to read the stream."""
        self._connection = await connect(self._address, "ledger", self._transport)

    async def look(self, offset: int | Literal["first"]) -> Record | None:
        """The stream's record at `offset`, or the next one after; None where none came in time."""
        return await self._reader.look(offset)

    async def last(self) -> Record | None:
        """The stream's last record, as far as the broker's node knows; None where none came in
        time.
        """
        return await self._reader.last()

    async def start(self, offset: int) -> None:
        """Read the stream from `offset` on."""
        self._consumer = StreamConsumer(self._transport.splitter, self._queue)
        await self._consumer.start(self._open_connection, offset)

    async def batch(self, most_seconds: float) -> list[Record]:
        """The stream's records that have come, in order; empty when nothing came for so long. After
        `start`.
        """
        if self._consumer is None:
            raise ConnectionError("not connected")
        return await self._consumer.batch(most_seconds)

    def stir(self) -> None:
        """Have `batch` return, though it waits for records."""
        if self._consumer is not None:
            self._consumer.stir()

    async def close(self) -> None:
        """Let go of the connection to the stream."""
        if self._consumer is not None:
            self._consumer.stop()
        if self._connection is not None:
            await at_most(CLOSE_TIMEOUT_SECONDS, self._connection.close())
        self._transport.abort()

    @property
    def _reader(self) -> StreamReader:
        return StreamReader(self._open_connection, self._transport.splitter, self._queue)

    @property
    def _open_connection(self) -> AbstractConnection:
        if self._connection is None:
            raise ConnectionError("not connected")
        return self._connection

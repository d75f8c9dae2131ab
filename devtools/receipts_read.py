"""Reads the stream of the receipts of a namespace, for tests and trials."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from worker.broker.queue_names import Names
from worker.broker.stream_consumer import Record
from worker.broker.stream_reader import StreamReader
from worker.wire.connecting import BrokerAddress, connect
from worker.wire.message_tap import TappedTransport


@asynccontextmanager
async def receipts_reader(amqp_url: str, namespace: str) -> AsyncIterator[StreamReader]:
    """On a connection of its own."""
    transport = TappedTransport()
    connection = await connect(BrokerAddress(SecretStr(amqp_url), 30), "receipts", transport)
    try:
        yield StreamReader(connection, transport.splitter, Names(namespace).receipts)
    finally:
        await connection.close()


async def records_of(amqp_url: str, namespace: str) -> list[Record]:
    """All that is there now."""
    async with receipts_reader(amqp_url, namespace) as reader:
        last = await reader.last_offset()
        return [] if last is None else [one async for one in reader.read("first", last)]

"""Writes the chain of a process that is no worker to the stream of the receipts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractConnection

from worker.evidence.chain import Chain
from worker.evidence.heading import (
    CONTENT_TYPE,
    MOST_ROWS,
    MOST_WRITTEN_BYTES,
    MessageKind,
)
from worker.wire.connecting import (
    CLOSE_TIMEOUT_SECONDS,
    BrokerAddress,
    at_most,
    connect,
    told_as_lost,
)

_PUBLISH_SECONDS: Final = 5.0


class ChainWriter:
    """Writes one chain: `add` makes its messages and `send` publishes them. What could not be
    published goes first the next time, since a chain must have no hole. `purpose` names the
    connection.
    """

    def __init__(self, address: BrokerAddress, purpose: str, queue: str, chain: Chain) -> None:
        self._address = address
        self._purpose = purpose
        self._queue = queue
        self._chain = chain
        self._unsent: list[bytes] = []
        self.has_begun = False

    @property
    def unsent(self) -> int:
        """Messages of the chain that the broker has not confirmed."""
        return len(self._unsent)

    def add(self, kind: MessageKind, rows: Sequence[bytes], now_ms: int) -> None:
        """Messages with these rows, as many as they need, and before them the chain's beginning."""
        if not self.has_begun:
            self.has_begun = True
            self._add("begin", [], now_ms)
        for portion in portions([row] for row in rows):
            self._add(kind, portion, now_ms)

    def end(self, now_ms: int) -> None:
        """The last message of the chain."""
        self._add("end", [], now_ms)

    async def send(self) -> None:
        """Publish the chain until all is confirmed. Raises what the broker answers, and
        TimeoutError.

        On a connection of its own: an alarm of the broker stops the ones that publish.
        """
        connection = await connect(self._address, self._purpose)
        try:
            with told_as_lost():
                async with asyncio.timeout(_PUBLISH_SECONDS):
                    await self._publish(connection)
        finally:
            await at_most(CLOSE_TIMEOUT_SECONDS, connection.close())

    async def _publish(self, connection: AbstractConnection) -> None:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        while self._unsent:
            message = Message(
                self._unsent[0], content_type=CONTENT_TYPE, delivery_mode=DeliveryMode.PERSISTENT
            )
            await channel.default_exchange.publish(message, self._queue, mandatory=True)
            del self._unsent[0]

    def _add(self, kind: MessageKind, rows: Sequence[bytes], now_ms: int) -> None:
        self._unsent.append(self._chain.message(kind, rows, now_ms))


def portions(groups: Iterable[Sequence[bytes]]) -> Iterator[list[bytes]]:
    """The rows of each message, which has as many whole groups of rows as fit."""
    rows: list[bytes] = []
    size = 0
    for group in groups:
        more = sum(len(row) + 1 for row in group)
        if rows and (len(rows) + len(group) > MOST_ROWS or size + more > MOST_WRITTEN_BYTES):
            yield rows
            rows, size = [], 0
        rows += group
        size += more
    if rows:
        yield rows

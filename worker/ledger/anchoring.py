"""Writes the heads of all chains back into the stream, so that no end of one can be cut off later
without a trace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from aio_pika import DeliveryMode, Message
from sqlalchemy import Connection, select

from worker.evidence.anchors import Head, encode_head
from worker.evidence.chain import Chain
from worker.evidence.heading import CONTENT_TYPE, MOST_ROWS, MessageKind
from worker.ledger.schema import CHAINS
from worker.wire.connecting import CLOSE_TIMEOUT_SECONDS, BrokerAddress, at_most, connect

ANCHOR_SECONDS: Final = 60.0
_REACHES_BACK_MS: Final = 24 * 3_600_000
"""A chain that was silent for so long is in many anchors already."""
_PUBLISH_SECONDS: Final = 5.0
_MOST_UNSENT: Final = 64


def heads_of(connection: Connection, now_ms: int) -> list[Head]:
    """The heads of the chains that have moved lately."""
    query = select(CHAINS).where(CHAINS.c.last_at >= now_ms - _REACHES_BACK_MS)
    return [
        Head(row.chain.hex(), row.sequence, row.digest.hex(), row.last_at)
        for row in connection.execute(query)
    ]


class Anchoring:
    """The chain of one ledger. What could not be published goes first the next time, since a chain
    must have no hole.
    """

    def __init__(self, address: BrokerAddress, queue: str, chain: Chain) -> None:
        self._address = address
        self._queue = queue
        self._chain = chain
        self._unsent: list[bytes] = []
        self._has_begun = False

    async def write(self, heads: Sequence[Head], now_ms: int) -> None:
        """Publish the heads. Raises what the broker answers, and TimeoutError."""
        if len(self._unsent) < _MOST_UNSENT:
            if not self._has_begun:
                self._add("begin", [], now_ms)
                self._has_begun = True
            rows = [encode_head(one) for one in heads]
            for start in range(0, len(rows), MOST_ROWS):
                self._add("anchor", rows[start : start + MOST_ROWS], now_ms)
        await self._send()

    async def end(self, now_ms: int) -> None:
        """Publish that the chain ends here, if it has begun. Raises as `write` does."""
        if self._has_begun:
            self._add("end", [], now_ms)
            await self._send()

    def _add(self, kind: MessageKind, rows: Sequence[bytes], now_ms: int) -> None:
        self._unsent.append(self._chain.message(kind, rows, now_ms))

    async def _send(self) -> None:
        """On a connection of its own: an alarm of the broker stops the ones that publish."""
        connection = await connect(self._address, "ledger-anchors")
        try:
            async with asyncio.timeout(_PUBLISH_SECONDS):
                channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                while self._unsent:
                    message = Message(
                        self._unsent[0],
                        content_type=CONTENT_TYPE,
                        delivery_mode=DeliveryMode.PERSISTENT,
                    )
                    await channel.default_exchange.publish(message, self._queue, mandatory=True)
                    del self._unsent[0]
        finally:
            await at_most(CLOSE_TIMEOUT_SECONDS, connection.close())

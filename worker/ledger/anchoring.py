"""Writes the heads of all chains back into the stream, so that no end of one can be cut off later
without a trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, select

from worker.broker.chain_writer import ChainWriter
from worker.evidence.anchors import Head, encode_head
from worker.ledger.schema import CHAINS

ANCHOR_SECONDS: Final = 60.0
_REACHES_BACK_MS: Final = 24 * 3_600_000
"""A chain that was silent for so long is in many anchors already."""
_MOST_UNSENT: Final = 64


def heads_of(connection: Connection, now_ms: int) -> list[Head]:
    """The heads of the chains that have moved lately."""
    query = select(CHAINS).where(CHAINS.c.last_at >= now_ms - _REACHES_BACK_MS)
    return [
        Head(row.chain.hex(), row.sequence, row.digest.hex(), row.last_at)
        for row in connection.execute(query)
    ]


class Anchoring:
    """The anchors of one ledger, in a chain of its own."""

    def __init__(self, writer: ChainWriter) -> None:
        self._writer = writer

    async def write(self, heads: Sequence[Head], now_ms: int) -> None:
        """Publish the heads of chains. Raises what the broker answers, and TimeoutError."""
        if self._writer.unsent < _MOST_UNSENT:
            self._writer.add("anchor", [encode_head(one) for one in heads], now_ms)
        await self._writer.send()

    async def end(self, now_ms: int) -> None:
        """Publish that the anchors' chain ends here, if it has begun. Raises as `write` does."""
        if self._writer.has_begun:
            self._writer.end(now_ms)
            await self._writer.send()

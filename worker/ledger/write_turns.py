"""One thing after the other is written to the ledger, each in a thread beside the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from worker.ledger.database import Database

Answer = TypeVar("Answer")


class WriteTurns:
    """Writes to the ledger one after the other, for the one process that writes to `database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writing = asyncio.Lock()

    async def take(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        """Do `work` when nothing else is written to the ledger; it opens its own transaction."""
        async with self._writing:
            return await asyncio.to_thread(work, *arguments)

    async def transact(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        """Do `work`, which is given a connection first, in a transaction of the ledger."""

        def run() -> Answer:
            with self._database.transaction() as connection:
                return work(connection, *arguments)

        return await self.take(run)

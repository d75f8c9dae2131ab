"""The parts that write receipts, put together by the settings."""

from __future__ import annotations

import asyncio

from worker.ordering.lasting_store import LastingStore
from worker.ordering.store_protocol import NewestStore
from worker.receipts.receipt_writer import Facts, ReceiptWriter
from worker.receipts.user_hashes import UserHashes
from worker.receipts.writer_from_settings import build_writer
from worker.service.beside_delivery import begin_beside
from worker.settings import WorkerSettings

LEARN_SECONDS = 5.0
"""How often it is looked whether a month has a key; the next one's is there a day before. And for
so long persons are called by a key that nobody else has, where the state lost its data and all
other workers were restarted."""


class Receipts:
    """What a worker that writes receipts has: the `writer`, None where the settings ask for none,
    and the keys of the hashes of users.
    """

    def __init__(self, settings: WorkerSettings, store: NewestStore, facts: Facts) -> None:
        self.writer: ReceiptWriter | None = None
        self._learning: asyncio.Task[None] | None = None
        if settings.receipts == "off":
            return
        keys = store.month_keys if isinstance(store, LastingStore) else None
        self._hashes = UserHashes(keys, settings.receipts_retention_days)
        self._facts = facts
        self.writer = build_writer(settings, self._hashes, facts)

    async def start(self) -> None:
        """Begin the chain of receipts; the first key is there when this returns, if the state has
        it.
        """
        if self.writer is None:
            return
        await self._hashes.learn(self._facts.now_ms())
        self.writer.start()
        self._learning = begin_beside("month keys", self._learn)

    async def stop(self) -> None:
        """End the chain of receipts."""
        if self._learning is not None and self.writer is not None:
            self._learning.cancel()
            await self.writer.close()

    async def _learn(self) -> None:
        while True:
            await asyncio.sleep(LEARN_SECONDS)
            await self._hashes.learn(self._facts.now_ms())

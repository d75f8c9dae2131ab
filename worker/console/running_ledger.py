"""The ledger that the console runs beside its pages, while no other process does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Final

import structlog

from worker.errors import EndsCommand
from worker.ledger.database import Database
from worker.ledger.ledger_from_settings import LedgerParts
from worker.ledger.migrations import upgrade
from worker.ledger.reading_report import ReadingReport

log = structlog.get_logger(__name__)

_AGAIN_SECONDS: Final = 5.0


class RunningLedger:
    """Opens the ledger for writing and reads until it is cancelled. Where that is not possible,
    most often since another process does so already, it tries again for as long as it runs.
    `around` is what goes on while it reads, beside the file of that path.
    """

    def __init__(
        self,
        open_database: Callable[[], Database],
        build: Callable[[Database], LedgerParts],
        around: Callable[[LedgerParts, Path], AbstractAsyncContextManager[None]],
    ) -> None:
        self._open = open_database
        self._build = build
        self._around = around
        self._parts: LedgerParts | None = None
        self._why = ""

    @property
    def report(self) -> ReadingReport | None:
        """What the reading of the stream tells of itself; None while another process reads."""
        return None if self._parts is None else self._parts.report

    async def run(self) -> None:
        """Run the ledger for ever. Cancelled, it ends the anchors' chain and lets its file go."""
        while True:
            try:
                database = await asyncio.to_thread(self._open)
            except EndsCommand as trouble:
                self._tell(str(trouble))
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            try:
                await self._read(database)
            finally:
                database.close()

    async def _read(self, database: Database) -> None:
        try:
            await asyncio.to_thread(upgrade, database)
        except EndsCommand as trouble:
            self._tell(str(trouble))
            await asyncio.sleep(_AGAIN_SECONDS)
            return
        self._why = ""
        parts = self._parts = self._build(database)
        work = asyncio.create_task(parts.reading.run())
        try:
            async with self._around(parts, database.path):
                await asyncio.shield(work)
        finally:
            self._parts = None
            parts.reading.stop()
            with suppress(asyncio.CancelledError):
                await work

    def _tell(self, why: str) -> None:
        if self._why != why:
            self._why = why
            log.warning("console.ledger_not_run", detail=why)

"""What a ledger does beside its reading: tells that it runs, writes anchors, counts what is
missing, takes out what is old.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, Final

import structlog

from worker.ledger.anchoring import ANCHOR_SECONDS, Anchoring, heads_of
from worker.ledger.awaited_outcomes import check_awaited
from worker.ledger.overview import overview
from worker.ledger.progress import read_progress, say_alive
from worker.ledger.reading_report import ReadingReport
from worker.ledger.retention import prune
from worker.ledger.told_lanes import forget_lanes
from worker.ledger.trouble import LedgerTrouble
from worker.ledger.write_turns import WriteTurns
from worker.moments import now_ms
from worker.wire.connecting import is_connection_error

log = structlog.get_logger(__name__)

_ALIVE_SECONDS: Final = 5.0
_PRUNE_SECONDS: Final = 3600.0
_NEAR_MS: Final = 10_000


class Upkeep:
    """What a ledger does beside its reading. `caught_up` is set once the ledger has read what was
    written up to some seconds ago.
    """

    def __init__(
        self,
        turns: WriteTurns,
        report: ReadingReport,
        anchoring: Anchoring | None,
        retention_seconds: float,
    ) -> None:
        self._turns = turns
        self._report = report
        self._anchoring = anchoring
        self._retention_ms = int(retention_seconds * 1000)
        self._working: asyncio.Task[None] | None = None
        self.caught_up = asyncio.Event()

    def start(self) -> None:
        """Do the ledger's upkeep regularly, from now on."""
        self._working = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """No more upkeep of the ledger; the chain of the anchors ends."""
        if self._working is not None:
            self._working.cancel()
            with suppress(asyncio.CancelledError):
                await self._working
        if self._anchoring is not None:
            await self._try(self._anchor(self._anchoring))
            await self._try(self._anchoring.end(now_ms()))

    async def count_missing(self) -> None:
        """Look for outcomes that were read before the receipts of doors, and count what does not
        add up. Raises `LedgerTrouble`."""
        now = now_ms()
        while await self._turns.transact(check_awaited, now - _NEAR_MS):
            pass  # each is a transaction of its own, and the reading has its turn in between
        while await self._turns.transact(forget_lanes, now):
            pass  # or the overview reads the lanes of all workers that ever were
        said = (await self._turns.transact(overview, now)).conservation
        overtaken = sum(one.events for one in said.awaited.overtaken)
        self._report.counted(sum(one.events for one in said.missing), overtaken)

    async def prune(self) -> None:
        """Take out what is older than its retention. Raises `LedgerTrouble`."""
        before_ms = now_ms() - self._retention_ms
        while await self._turns.transact(prune, before_ms):
            pass  # as above

    async def _work(self) -> None:
        minute = time.monotonic()
        pruned = minute - _PRUNE_SECONDS  # or who starts it for minutes each time never prunes
        while True:
            await asyncio.sleep(_ALIVE_SECONDS)
            await self._try(self._say_alive())
            now = time.monotonic()
            if now - minute >= ANCHOR_SECONDS:
                minute = now
                if self._anchoring is not None:
                    await self._try(self._anchor(self._anchoring))
                await self._try(self.count_missing())
            if now - pruned >= _PRUNE_SECONDS:
                pruned = now
                await self._try(self.prune())

    async def _try(self, work: Awaitable[Any]) -> None:
        try:
            await work
        except LedgerTrouble as trouble:
            self._report.cannot_write(str(trouble))
        except Exception as error:
            if is_connection_error(error):
                self._report.cannot_read(error)
            else:  # a fault of ours must not end all of it in silence
                log.exception("ledger.unexpected_error", error=type(error).__name__)

    async def _say_alive(self) -> None:
        now = now_ms()
        await self._turns.transact(say_alive, now)
        self._report.wrote()
        progress = await self._turns.transact(read_progress)
        if progress is not None and now - progress.written_at < _NEAR_MS:
            self.caught_up.set()

    async def _anchor(self, anchoring: Anchoring) -> None:
        now = now_ms()
        await anchoring.write(await self._turns.transact(heads_of, now), now)

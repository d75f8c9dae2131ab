"""The work of `consent-worker ledger`: reads the stream into the tables until it is to stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from worker.ledger.anchoring import ANCHOR_SECONDS, Anchoring, heads_of
from worker.ledger.database import Database
from worker.ledger.overview import overview
from worker.ledger.progress import read_progress, say_alive
from worker.ledger.reading_report import ReadingReport
from worker.ledger.record_feed import RecordFeed
from worker.ledger.records import Record, start_of_reading
from worker.ledger.retention import prune
from worker.ledger.taking_in import TakingIn
from worker.ledger.trouble import LedgerTrouble
from worker.wire.connecting import is_connection_error

_ALIVE_SECONDS: Final = 5.0
_PRUNE_SECONDS: Final = 3600.0
_FIRST_PAUSE_SECONDS: Final = 0.25
_LONGEST_PAUSE_SECONDS: Final = 5.0
_CAUGHT_UP_SECONDS: Final = 2.0
"""The stream gives what it has at once, so who waits for so long has all of it."""

Answer = TypeVar("Answer")


def _now_ms() -> int:
    return int(time.time() * 1000)


class Reading:
    """Reads what `new_feed` gives. With `once` it ends when it has read what there is."""

    def __init__(
        self,
        database: Database,
        taking_in: TakingIn,
        new_feed: Callable[[], RecordFeed],
        anchoring: Anchoring | None,
        retention_seconds: float,
        *,
        once: bool = False,
    ) -> None:
        self._database = database
        self._taking_in = taking_in
        self._new_feed = new_feed
        self._anchoring = anchoring
        self._retention_ms = int(retention_seconds * 1000)
        self._once = once
        self._stopping = asyncio.Event()
        self._feed: RecordFeed | None = None
        self._writing = asyncio.Lock()
        self.report = ReadingReport()

    def stop(self) -> None:
        """Ask `run` to return, after what is in hand."""
        self._stopping.set()
        if self._feed is not None:
            self._feed.stir()

    async def run(self) -> None:
        """Returns after `stop`, or with `once` at the end of the stream. What goes wrong with the
        broker or the file is logged, and tried again; with `once` it is raised.
        """
        regular = asyncio.create_task(self._do_regularly())
        pause = _FIRST_PAUSE_SECONDS
        try:
            while not self._stopping.is_set():
                began = time.monotonic()
                try:
                    await self._read_stream()
                    return
                except LedgerTrouble as trouble:
                    self.report.cannot_write(str(trouble))
                    if self._once:
                        raise
                except Exception as error:
                    if not is_connection_error(error) or self._once:
                        raise
                    self.report.cannot_read(error)
                if time.monotonic() - began > _LONGEST_PAUSE_SECONDS:
                    pause = _FIRST_PAUSE_SECONDS
                await self._rest(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        finally:
            regular.cancel()
            with suppress(asyncio.CancelledError):
                await regular
            await self._end_chain()

    async def _read_stream(self) -> None:
        """One connection, until it is lost or there is no more to do."""
        feed = self._feed = self._new_feed()
        try:
            await feed.open()
            await feed.start(await self._begin(feed))
            while not self._stopping.is_set():
                records = await feed.batch(_CAUGHT_UP_SECONDS)
                if records:
                    await self._take(records)
                elif self._once:
                    return
        finally:
            self._feed = None
            await feed.close()

    async def _begin(self, feed: RecordFeed) -> int:
        """The offset to go on at."""
        first = await feed.look("first")
        progress = await self._in_transaction(read_progress)
        at_last = None
        if progress is not None and first is not None and progress.has_read:
            # Where that is older than the stream, what is found is no older record.
            at_last = await feed.look(progress.next_offset - 1)
        start = start_of_reading(progress, first, at_last)
        async with self._writing:
            self.report.tell(await asyncio.to_thread(self._taking_in.begin, start, _now_ms()))
        self.report.reads_from(start.offset)
        return start.offset

    async def _take(self, records: list[Record]) -> None:
        async with self._writing:
            found = await asyncio.to_thread(self._taking_in.take, records, _now_ms())
        self.report.took(records, found)

    async def _in_transaction(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        def run() -> Answer:
            with self._database.transaction() as connection:
                return work(connection, *arguments)

        async with self._writing:
            return await asyncio.to_thread(run)

    # Beside the reading

    async def _do_regularly(self) -> None:
        minute = pruned = time.monotonic()
        while True:
            await asyncio.sleep(_ALIVE_SECONDS)
            await self._try(self._say_alive())
            now = time.monotonic()
            if now - minute >= ANCHOR_SECONDS:
                minute = now
                await self._try(self._anchor())
                await self._try(self._count_missing())
            if now - pruned >= _PRUNE_SECONDS:
                pruned = now
                await self._try(self._prune())

    async def _try(self, work: Awaitable[Any]) -> None:
        try:
            await work
        except LedgerTrouble as trouble:
            self.report.cannot_write(str(trouble))
        except Exception as error:
            if not is_connection_error(error):
                raise
            self.report.cannot_read(error)

    async def _say_alive(self) -> None:
        await self._in_transaction(say_alive, _now_ms())
        self.report.wrote()

    async def _count_missing(self) -> None:
        said = await self._in_transaction(overview, _now_ms())
        self.report.counted(sum(one.events for one in said.conservation.missing))

    async def _anchor(self) -> None:
        if self._anchoring is not None:
            now_ms = _now_ms()
            await self._anchoring.write(await self._in_transaction(heads_of, now_ms), now_ms)

    async def _prune(self) -> None:
        before_ms = _now_ms() - self._retention_ms
        while await self._in_transaction(prune, before_ms):
            pass  # each is a transaction of its own, and the reading has its turn in between

    async def _end_chain(self) -> None:
        if self._anchoring is not None:
            await self._try(self._anchor())
            await self._try(self._anchoring.end(_now_ms()))

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

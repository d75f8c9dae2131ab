"""The work of `consent-worker ledger`: reads the stream into the tables until it is to stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from worker.broker.stream_consumer import Record
from worker.broker.stream_reader import StreamSilent
from worker.errors import ServerTrouble
from worker.ledger.progress import read_progress
from worker.ledger.reading_report import ReadingReport
from worker.ledger.records import Progress, start_of_reading
from worker.ledger.records_into_tables import TakingIn
from worker.ledger.stream_batches import RecordFeed
from worker.ledger.trouble import LedgerTrouble
from worker.ledger.upkeep import Upkeep
from worker.ledger.write_turns import WriteTurns
from worker.wire.connecting import is_connection_error

_FIRST_PAUSE_SECONDS: Final = 0.25
_LONGEST_PAUSE_SECONDS: Final = 5.0
_CAUGHT_UP_SECONDS: Final = 2.0
"""The stream gives what it has at once, so who waits for so long has all of it."""
_SILENT: Final = (
    "RabbitMQ gives no record of the receipts' stream where some were read: its node is starting, "
    "or is behind, or the stream is empty"
)


def _now_ms() -> int:
    return int(time.time() * 1000)


class Reading:
    """Reads the stream by `new_feed`. With `once` it ends when it has read what there is."""

    def __init__(
        self,
        turns: WriteTurns,
        taking_in: TakingIn,
        new_feed: Callable[[], RecordFeed],
        upkeep: Upkeep,
        report: ReadingReport,
        *,
        once: bool = False,
    ) -> None:
        self._turns = turns
        self._taking_in = taking_in
        self._new_feed = new_feed
        self._upkeep = upkeep
        self._report = report
        self._once = once
        self._stopping = asyncio.Event()
        self._feed: RecordFeed | None = None

    def stop(self) -> None:
        """Ask the reading of the stream to end, after what is in hand."""
        self._stopping.set()
        if self._feed is not None:
            self._feed.stir()

    async def run(self) -> None:
        """Read the stream until `stop`, or with `once` to its end. What goes wrong with the broker
        or the file is logged, and tried again; with `once` it is raised.
        """
        self._upkeep.start()
        pause = _FIRST_PAUSE_SECONDS
        try:
            while not self._stopping.is_set():
                began = time.monotonic()
                try:
                    await self._read_stream()
                    return
                except LedgerTrouble as trouble:
                    self._report.cannot_write(str(trouble))
                    if self._once:
                        raise
                except Exception as error:
                    is_away = isinstance(error, ServerTrouble) or is_connection_error(error)
                    if not is_away or self._once:
                        raise
                    self._report.cannot_read(error)
                if time.monotonic() - began > _LONGEST_PAUSE_SECONDS:
                    pause = _FIRST_PAUSE_SECONDS
                await self._rest(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        finally:
            await self._upkeep.stop()

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
                    continue
                self._upkeep.caught_up.set()
                if self._once:
                    await self._upkeep.count_missing()
                    await self._upkeep.prune()
                    return
        finally:
            self._feed = None
            await feed.close()

    async def _begin(self, feed: RecordFeed) -> int:
        """The offset to go on at."""
        first = await feed.look("first")
        progress = await self._turns.transact(read_progress)
        at_last, ends_anew = None, False
        if progress is not None and first is not None and progress.has_read:
            # Where that is older than the stream, what is found is no older record.
            at_last = await feed.look(progress.next_offset - 1)
            if at_last is None:
                ends_anew = await self._ends_anew(feed, progress)
        start = start_of_reading(progress, first, at_last, ends_anew=ends_anew)
        if start is None:
            raise StreamSilent(_SILENT)
        self._report.tell(await self._turns.take(self._taking_in.begin, start, _now_ms()))
        self._report.reads_from(start.offset)
        return start.offset

    async def _ends_anew(self, feed: RecordFeed, progress: Progress) -> bool:
        """Whether the stream ends before what was read, with a record that never was."""
        last = await feed.last()
        if last is None or last.offset >= progress.next_offset - 1:
            return False
        return await self._turns.take(self._taking_in.is_news, last)

    async def _take(self, records: list[Record]) -> None:
        found = await self._turns.take(self._taking_in.take, records, _now_ms())
        self._report.took(records, found)

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

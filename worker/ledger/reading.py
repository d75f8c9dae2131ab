"""The work of `consent-worker ledger`: reads the stream into the tables until it is to stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

import structlog

from worker.ledger.anchoring import ANCHOR_SECONDS, Anchoring, heads_of
from worker.ledger.database import Database
from worker.ledger.findings import SENTENCES
from worker.ledger.progress import read_progress, say_alive
from worker.ledger.record_feed import RecordFeed
from worker.ledger.records import Record, start_of_reading
from worker.ledger.retention import prune
from worker.ledger.taking_in import TakingIn
from worker.ledger.trouble import LedgerTrouble
from worker.wire.connecting import (
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    is_connection_error,
    why_unreachable,
)

log = structlog.get_logger(__name__)

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
        self._is_told: dict[str, str] = {}
        self._writing = asyncio.Lock()
        self.records = 0

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
                    self._tell_trouble("ledger.not_written", str(trouble))
                    if self._once:
                        raise
                except Exception as error:
                    if not is_connection_error(error) or self._once:
                        raise
                    self._tell_trouble("ledger.stream_away", _why_away(error))
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
                    self._is_told.clear()
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
            self._tell(await asyncio.to_thread(self._taking_in.begin, start, _now_ms()))
        log.info("ledger.reading", offset=start.offset)
        return start.offset

    async def _take(self, records: list[Record]) -> None:
        async with self._writing:
            found = await asyncio.to_thread(self._taking_in.take, records, _now_ms())
        self.records += len(records)
        self._tell(found)

    async def _in_transaction(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        def run() -> Answer:
            with self._database.transaction() as connection:
                return work(connection, *arguments)

        async with self._writing:
            return await asyncio.to_thread(run)

    # Beside the reading

    async def _do_regularly(self) -> None:
        anchored = pruned = time.monotonic()
        while True:
            await asyncio.sleep(_ALIVE_SECONDS)
            await self._try(self._in_transaction(say_alive, _now_ms()))
            now = time.monotonic()
            if now - anchored >= ANCHOR_SECONDS:
                anchored = now
                await self._try(self._anchor())
            if now - pruned >= _PRUNE_SECONDS:
                pruned = now
                await self._try(self._prune())

    async def _try(self, work: Awaitable[Any]) -> None:
        try:
            await work
        except LedgerTrouble as trouble:
            self._tell_trouble("ledger.not_written", str(trouble))
        except Exception as error:
            if not is_connection_error(error):
                raise
            self._tell_trouble("ledger.stream_away", _why_away(error))

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

    # What is said

    def _tell(self, findings: dict[str, int]) -> None:
        for kind, count in findings.items():
            log.warning("ledger.finding", kind=kind, count=count, meaning=SENTENCES[kind])

    def _tell_trouble(self, event: str, detail: str) -> None:
        """Once, as long as it is the same."""
        if self._is_told.get(event) == detail:
            return
        self._is_told[event] = detail
        if event == "ledger.not_written":
            log.error("ledger.not_written", detail=detail)
        else:
            log.warning("ledger.stream_away", detail=detail)


def _why_away(error: Exception) -> str:
    if isinstance(error, ChannelNotFoundEntity):
        return (
            "there is no stream of receipts yet; a worker makes it where CONSENT_WORKER_RECEIPTS "
            "is on, or check CONSENT_WORKER_NAMESPACE"
        )
    if isinstance(error, ChannelPreconditionFailed):
        return "what has the name of the receipts' stream is another kind of queue"
    return why_unreachable(error)

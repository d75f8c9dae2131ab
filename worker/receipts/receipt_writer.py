"""Writes receipts to their stream, many in a message, and says when each is on record.

    write ─► unsent ─► one message in flight ─► confirmed ─► the events are acknowledged

When a confirm stays away for longer than its bound, receipts are *away*: nothing waits for them any
more. They are kept, as many as there is room for, and written when the broker confirms again; the
message in flight is the probe for that. What finds no room is counted as unreceipted
(`unsent_receipts` has the bounds).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from worker.evidence.chain import Chain
from worker.evidence.heading import MessageKind
from worker.evidence.receipt import ReceiptFields, encode_fields
from worker.receipts.stream_connection import StreamConnection
from worker.receipts.unreceipted import NO_ROOM, UNWRITABLE, Unreceipted
from worker.receipts.unsent_receipts import Done, Unsent, UnsentReceipts
from worker.receipts.user_hashes import UserHashes

log = structlog.get_logger(__name__)

FLUSH_SECONDS: Final = 0.02
"""How long a receipt waits for others: a message costs the worker as much as a hundred receipts."""
AWAY_SECONDS: Final = 2.0
STATE_SECONDS: Final = 5.0
END_SECONDS: Final = 2.0
"""How long a stop waits until what is unsent is written, with the end behind it."""


class Facts(Protocol):
    """What the writer of receipts asks of its worker or door."""

    def in_hand(self) -> int:
        """Messages that a worker has not acknowledged, or events that a door has in hand."""
        ...

    def state_row(self, unreceipted: dict[str, int]) -> bytes:
        """The row of kind `state`, which tells how the worker or door does."""
        ...

    def now_ms(self) -> int:
        """The time in ms since 1970."""
        ...


class ReceiptWriter:
    """Writes receipts, as a `ReceiptBook`. `new_stream` makes the connection by which it writes, of
    what is to be called when its message is confirmed, and when it is connected and has none.
    """

    def __init__(
        self,
        new_stream: Callable[[Done, Done], StreamConnection],
        chain: Chain,
        hashes: UserHashes,
        facts: Facts,
    ) -> None:
        self._stream = new_stream(self._confirmed, self._opened)
        self._chain = chain
        self._facts = facts
        self.user_hash = hashes.hash_of
        self.unreceipted = Unreceipted()
        self.away_since: float | None = None
        self.written = 0
        """Receipts that are on record."""
        self._loop = asyncio.get_running_loop()
        self._unsent = UnsentReceipts()
        self._in_flight: list[Unsent] = []
        self._flushing: asyncio.Handle | None = None
        self._bound: asyncio.TimerHandle | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._state_is_due = self._has_told_last = False
        self._ended: asyncio.Event | None = None

    @property
    def waiting(self) -> int:
        """Receipts that are not on record yet."""
        return len(self._unsent) + len(self._in_flight)

    @property
    def trouble(self) -> str:
        """Why receipts are away; "" while they are not."""
        if self.away_since is None:
            return ""
        return self._stream.trouble or f"no confirm in {AWAY_SECONDS:g} s"

    def write(self, receipt: ReceiptFields, then: Done) -> None:
        """Write a receipt, see `ReceiptBook`."""
        integration_id = receipt["integration"]
        has_room = self._unsent.has_room
        row = _row_of(receipt) if has_room else None
        if row is None:
            self.unreceipted.drop(integration_id, UNWRITABLE if has_room else NO_ROOM)
            then()
            return
        if self.away_since is None:
            self._unsent.add(row, integration_id, then)
        else:
            self._unsent.add(row, integration_id, None)
            then()
        if self._flushing is None and not self._stream.is_busy:
            self._flushing = self._loop.call_soon(self._consider)

    def start(self) -> None:
        """Connect to the stream, and write the beginning of the chain."""
        self._send("begin", ())
        self._stream.start()
        self._ticking = self._loop.call_later(STATE_SECONDS, self._tick)

    async def close(self) -> None:
        """Write unsent receipts, a last state and the end, if the broker takes them in time."""
        if self._ticking is not None:
            self._ticking.cancel()
        self._ended = ended = asyncio.Event()
        if not self._stream.is_busy:
            self._send_next()
        try:
            await asyncio.wait_for(ended.wait(), END_SECONDS)
        except TimeoutError:
            # What is still waited for is not acknowledged: it comes again, to a worker that
            # writes its receipt.
            lost = [one for one in (*self._in_flight, *self._unsent) if one.then is None]
            for one in lost:
                self.unreceipted.add(one.integration_id)
            log.warning("receipts.not_ended", unreceipted=len(lost), detail=self._stream.trouble)
        for timer in (self._flushing, self._bound):
            if timer is not None:
                timer.cancel()
        await self._stream.close()

    # What is sent next

    def _consider(self) -> None:
        """Send at once what nothing else in hand could join, and else in a moment."""
        if self._facts.in_hand() <= len(self._unsent):
            self._flush()
        else:
            self._flushing = self._loop.call_later(FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._flushing = None
        if not self._stream.is_busy:
            self._send_next()

    def _send_next(self) -> None:
        is_last = self._ended is not None and not self._unsent
        if self._state_is_due or (is_last and not self._has_told_last):
            self._state_is_due, self._has_told_last = False, is_last
            self._send("state", (self._facts.state_row(self.unreceipted.so_far()),))
        elif self._unsent:
            self._in_flight = self._unsent.take()
            self._send("receipts", [one.row for one in self._in_flight])
        elif self._ended is not None and self._chain.is_open:
            self._send("end", ())

    def _send(self, kind: MessageKind, rows: tuple[bytes, ...] | list[bytes]) -> None:
        self._stream.send(self._chain.message(kind, rows, self._facts.now_ms()))
        if self._bound is None and self.away_since is None:
            self._bound = self._loop.call_later(AWAY_SECONDS, self._missed)

    def _tick(self) -> None:
        self._ticking = self._loop.call_later(STATE_SECONDS, self._tick)
        self._state_is_due = True
        self._flush()

    # What the connection tells

    def _opened(self) -> None:
        self._state_is_due = self._state_is_due or self.away_since is not None
        self._flush()

    def _confirmed(self) -> None:
        if self._bound is not None:
            self._bound.cancel()
            self._bound = None
        settled, self._in_flight = self._in_flight, []
        self.written += len(settled)
        if self.away_since is not None:
            away_seconds = round(self._loop.time() - self.away_since, 3)
            self.away_since = None
            log.info(
                "receipts.back",
                away_seconds=away_seconds,
                waiting=self.waiting,
                unreceipted=self.unreceipted.total,
            )
        for one in settled:
            if one.then is not None:
                one.then()
        if self._ended is not None:
            self._send_next()
            if not self._stream.is_busy:
                self._ended.set()
        elif self._state_is_due:
            self._send_next()
        elif self._unsent and self._flushing is None:
            self._consider()

    def _missed(self) -> None:
        """The bound is over: nothing waits any more."""
        self._bound = None
        self.away_since = self._loop.time()
        log.error("receipts.away", detail=self.trouble, waiting=self.waiting)
        settled = [*self._in_flight, *self._unsent]
        self._in_flight = [one.awaited_no_more() for one in self._in_flight]
        self._unsent.await_no_more()
        for one in settled:
            if one.then is not None:
                one.then()


def _row_of(receipt: ReceiptFields) -> bytes | None:
    """None where a text is none in UTF-8, for which no event should wait."""
    try:
        return encode_fields(receipt)
    except TypeError:
        return None

"""Acknowledges the messages of one channel, in ranges as long as possible.

Settled tags wait a moment for others, and tags above a gap wait for the gap to close; `ack_ledger`
says what may be sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import Final, Protocol

from worker.broker.ack_ledger import AckLedger
from worker.broker.message import Source
from worker.broker.session_life import SessionLife
from worker.wire.channels import ConsumerChannel
from worker.wire.connecting import AMQPError

_ACK_AFTER_SECONDS: Final = 0.02
"""One acknowledgement covers what is done meanwhile; each costs a frame and a system call."""
_PORTION_MESSAGES: Final = 10
"""How many are acknowledged in that time where others go first; the broker sends no more."""
_STRAGGLERS_AFTER_SECONDS: Final = 0.15
"""A gap of a batch that waits for company, and its request, closes before that."""


class Counting(Source, Protocol):
    """An intake that counts what it has in hand, at most its `prefetch`."""

    @property
    def prefetch(self) -> int:
        """Messages that the broker leaves unacknowledged at most."""
        ...

    def message_done(self) -> None:
        """One message less of the intake is in hand."""
        ...

    def note_record(self) -> None:
        """All that became of one of the intake's messages is on record."""
        ...


class Acknowledging:
    """The `Holder` of the messages of `channel`, which came by `source`."""

    def __init__(self, channel: ConsumerChannel, source: Counting, life: SessionLife) -> None:
        self.source = source
        self.note_record = source.note_record
        self._channel = channel
        self._life = life
        self._is_closing = False
        self._ledger = AckLedger()
        self._rejected: deque[int] = deque()
        self._owed = 0
        self._owed_at_most = max(1, source.prefetch // 4)
        self._kept_back_at_most = source.prefetch * 3 // 4  # or the broker would soon send no more
        self._ack_timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._stragglers_are_due = False
        self._straggler_timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def acknowledge(self, tag: int) -> None:
        """The message with `tag` is to be acknowledged, together with others where possible."""
        self._ledger.add(tag)
        self._owed += 1
        if self._owed >= self._owed_at_most and not self.source.gives_way():
            self._start_sending()
        elif self._ack_timer is None:
            self._send_soon()
        self.source.message_done()

    def place_of(self, tag: int) -> object:
        """Each message has a place of its own."""
        return tag

    def reject(self, tag: int) -> None:
        """The broker makes a dead letter of a message as it is, whole."""
        self._life.refused += 1
        self._rejected.append(tag)
        self._start_sending()

    def refuse(self, tag: int) -> None:
        """Reject a message that was handed on; no record is made of it."""
        self.reject(tag)
        self.note_record()
        self.source.message_done()

    async def close(self) -> None:
        """Send acknowledgements that are owed, stragglers included, and nothing from then on."""
        self._is_closing = True
        if self._sending is not None:
            await self._sending  # which may leave something for later
        self._stragglers_are_due = True
        self._start_sending()
        if self._sending is not None:
            await self._sending
        for timer in (self._ack_timer, self._straggler_timer):
            if timer is not None:
                timer.cancel()

    async def _send_rejections(self) -> None:
        while self._rejected:
            tag = self._rejected.popleft()
            await self._attempt(self._channel.basic_reject(tag, requeue=False, wait=False))
            # Not before: a range that covered it would acknowledge it.
            self._ledger.add_rejected(tag)

    def _send_soon(self) -> None:
        if self._ack_timer is None:
            self._ack_timer = self._loop.call_later(_ACK_AFTER_SECONDS, self._send_later)

    def _send_later(self) -> None:
        self._ack_timer = None
        self._start_sending()

    def _start_sending(self) -> None:
        if self._sending is None and not self._life.lost.is_set():
            self._sending = self._life.spawn(self._send_what_is_owed())

    async def _send_what_is_owed(self) -> None:
        """Acknowledge all that may be, one frame after the other.

        Never two at a time: aiormq's queue of outgoing frames is bounded, and of two that wait for
        room in it either may come first. A range that overtakes one of its own tags makes that tag
        unknown to the broker, which closes the channel.
        """
        ledger = self._ledger
        most = _PORTION_MESSAGES if self.source.gives_way() and not self._is_closing else None
        self._owed = 0
        while not self._life.lost.is_set():
            await self._send_rejections()
            top = ledger.next_range(most)
            if top is not None:
                # wait=False: not for the socket. A connection that is gone is found by others
                # sooner.
                await self._attempt(self._channel.basic_ack(top, multiple=True, wait=False))
                if most is not None and ledger.has_range:
                    self._send_soon()
                    break
            elif self._stragglers_are_due or ledger.kept_back > self._kept_back_at_most:
                self._stragglers_are_due = False
                if ledger.kept_back:
                    tags = ledger.pop_stragglers()
                    await self._attempt(self._channel.acknowledge(tags))
            else:
                break
        self._sending = None
        if self._rejected:
            self._send_soon()
        if ledger.kept_back and not ledger.has_range and self._straggler_timer is None:
            self._straggler_timer = self._loop.call_later(
                _STRAGGLERS_AFTER_SECONDS, self._look_for_stragglers, ledger.border
            )

    def _look_for_stragglers(self, border_then: int) -> None:
        self._straggler_timer = None
        # Another gap than that of then has all its time before it.
        self._stragglers_are_due = self._ledger.border == border_then
        self._start_sending()

    async def _attempt(self, acknowledging: Awaitable[None]) -> None:
        try:
            await acknowledging
        except (AMQPError, OSError, RuntimeError) as error:
            self._life.end(f"an acknowledgement failed: {type(error).__name__}")

"""One consumer on a channel of its own, from delivery to acknowledgement.

Acknowledgements cover ranges, and of a message nothing is decoded that nobody asks for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from aio_pika.abc import AbstractConnection
from aiormq.exceptions import AMQPError
from pamqp.commands import Basic

from worker.broker.ack_ledger import AckLedger
from worker.wire.channels import TIMEOUT_SECONDS, ConsumerChannel, open_channel
from worker.wire.properties import UnreadableProperties, has_headers, read_properties
from worker.wire.tables import Budget
from worker.wire.tap import Sieve

if TYPE_CHECKING:
    from worker.broker.intake import Intake
    from worker.broker.session import Session

log = structlog.get_logger(__name__)

_ACK_AFTER_SECONDS = 0.02
"""One acknowledgement covers what is settled meanwhile; each costs a frame and a system call."""
_PORTION = 10
"""How many are acknowledged in that time where others go first; the broker sends no more."""
_STRAGGLERS_AFTER_SECONDS = 0.15
"""A gap of a batch that waits for company, and its request, closes before that."""
_NO_HEADERS: dict[str, Any] = {}


class Holder(Protocol):
    """What a message came by: its intake's consumer, or a bundle."""

    intake: Intake

    def settle(self, tag: int) -> None:
        """The message with `tag` is settled."""
        ...

    def place_of(self, tag: int) -> object:
        """What is in hand because of the message with `tag`."""
        ...


class Incoming:
    """A message in hand. It is acknowledged when each of its deliveries is settled."""

    __slots__ = (
        *("_content_header", "_holder", "_properties"),
        *("body", "headers", "intake", "is_readable", "open_deliveries", "tag"),
    )

    def __init__(
        self,
        tag: int,
        content_header: bytes,
        body: bytes,
        holder: Holder,
        budget: Budget | None = None,
    ) -> None:
        self.tag = tag
        self._content_header = content_header
        self._properties: Basic.Properties | None = None
        self.body = body
        self._holder = holder
        self.intake = holder.intake
        self.open_deliveries = 1
        self.headers = _NO_HEADERS
        self.is_readable = True
        """Whether all of its headers, if it has any, could be read; if not, `headers` is empty."""
        if has_headers(content_header):
            self._properties = read_properties(content_header, budget)
            self.is_readable = not isinstance(self._properties, UnreadableProperties)
            if self.is_readable:
                self.headers = self._properties.headers or _NO_HEADERS

    @property
    def session(self) -> Session:
        """The session that it came by, and the only one by which it can be acknowledged."""
        return self.intake.session

    @property
    def queue(self) -> str:
        return self.intake.queue

    @property
    def place(self) -> object:
        """Stands for what is in hand because of it: itself, or the bundle that it came in."""
        return self._holder.place_of(self.tag)

    @property
    def is_ours(self) -> bool:
        """Whether the broker still regards it as in our hands."""
        return not self.intake.session.lost.is_set()

    @property
    def properties(self) -> Basic.Properties:
        """As the broker delivered them, as far as they can be decoded."""
        if self._properties is None:
            self._properties = read_properties(self._content_header)
        return self._properties

    def take_over(self) -> Incoming:
        """The same message anew, as one delivery; what the old one still does has no effect."""
        self.open_deliveries = -1
        return Incoming(self.tag, self._content_header, self.body, self._holder)

    def abandon(self) -> bool:
        """Whether it was still in hand; whatever its deliveries still do has no effect."""
        was_in_hand = self.open_deliveries > 0
        self.open_deliveries = -1
        return was_in_hand

    def settle(self) -> None:
        """One of its deliveries is durable; after the last one it will be acknowledged."""
        self.open_deliveries -= 1
        if self.open_deliveries == 0:
            self._holder.settle(self.tag)


class Consumer:
    """Takes messages for `intake`, at most its prefetch of them unacknowledged."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self._session = intake.session
        self._is_closing = False
        self._ledger = AckLedger()
        self._refused: deque[int] = deque()
        self._owed = 0
        self._owed_at_most = max(1, intake.prefetch // 4)
        self._kept_back_at_most = intake.prefetch * 3 // 4  # or the broker would soon send no more
        self._ack_timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._stragglers_are_due = False
        self._straggler_timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    async def start(self, connection: AbstractConnection, sieve: Sieve) -> None:
        """Start consuming. Raises what the broker answers."""
        queue = self.intake.queue
        self._sieve = sieve
        self._channel = channel = await open_channel(connection, ConsumerChannel)
        sieve.listen(
            channel.number, self._take, self._refuse, self.intake.heard, self.intake.most_body_bytes
        )
        self._session.end_with(channel, queue)
        await channel.basic_qos(prefetch_count=self.intake.prefetch, timeout=TIMEOUT_SECONDS)
        channel.on_consumer_cancel_callbacks.add(
            lambda *_: self._session.end(f"the broker cancelled the consumer of {queue}")
        )
        self._tag = await channel.consume(queue)

    async def cancel(self) -> None:
        """Ask the broker for no more messages. Raises what the broker answers."""
        await self._channel.basic_cancel(self._tag)

    async def close(self) -> None:
        """Send what is owed, and close the channel, which the broker answers after taking it in."""
        self._session.release(self._channel)
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
        self._sieve.forget(self._channel.number)  # while nobody else can have it
        await self._channel.close()

    def settle(self, tag: int) -> None:
        """The message with `tag` is to be acknowledged, together with others where possible."""
        self._ledger.settle(tag)
        self._owed += 1
        if self._owed >= self._owed_at_most and not self.intake.gives_way():
            self._start_sending()
        else:
            self._send_soon()
        self.intake.settled()

    def place_of(self, tag: int) -> object:
        """Each message has a place of its own."""
        return tag

    def _take(self, tag: int, content_header: bytes, body: bytes) -> None:
        if self._session.is_draining or self._session.lost.is_set():
            return
        message = None
        try:
            message = Incoming(tag, content_header, body, self)
            self.intake.take(message)
        except Exception as error:  # whatever it is, it concerns this message alone
            log.exception("message.not_handled", error=type(error).__name__)
            if message is None:
                self.intake.heard()
                self._reject(tag)
            elif message.abandon():
                self._reject(tag)
                self.intake.settled()

    def _refuse(self, tag: int, body_bytes: int) -> None:
        """A message can't be taken; mostly it is too large to be read at all."""
        if not self._session.is_draining and not self._session.lost.is_set():
            log.warning("message.refused", queue=self.intake.queue, body_bytes=body_bytes)
            self.intake.heard()
            self._reject(tag)

    def _reject(self, tag: int) -> None:
        """The broker makes a dead letter of a message as it is, whole."""
        self._session.refused += 1
        self._refused.append(tag)
        self._start_sending()

    async def _send_refusals(self) -> None:
        while self._refused:
            tag = self._refused.popleft()
            await self._attempt(self._channel.basic_reject(tag, requeue=False, wait=False))
            # Not before: a range that covered it would acknowledge it.
            self._ledger.settled_alone(tag)

    def _send_soon(self) -> None:
        if self._ack_timer is None:
            self._ack_timer = self._loop.call_later(_ACK_AFTER_SECONDS, self._send_later)

    def _send_later(self) -> None:
        self._ack_timer = None
        self._start_sending()

    def _start_sending(self) -> None:
        if self._sending is None and not self._session.lost.is_set():
            self._sending = self._session.spawn(self._send_what_is_owed())

    async def _send_what_is_owed(self) -> None:
        """Acknowledge all that may be, one frame after the other.

        Never two at a time: aiormq's queue of outgoing frames is bounded, and of two that wait for
        room in it either may come first. A range that overtakes one of its own tags makes that tag
        unknown to the broker, which closes the channel.
        """
        ledger = self._ledger
        most = _PORTION if self.intake.gives_way() and not self._is_closing else None
        self._owed = 0
        while not self._session.lost.is_set():
            await self._send_refusals()
            top = ledger.take_range(most)
            if top is not None:
                # wait=False: not for the socket. A line that is gone is found by others sooner.
                await self._attempt(self._channel.basic_ack(top, multiple=True, wait=False))
                if most is not None and ledger.has_range:
                    self._send_soon()
                    break
            elif self._stragglers_are_due or ledger.kept_back > self._kept_back_at_most:
                self._stragglers_are_due = False
                if ledger.kept_back:
                    tags = ledger.take_stragglers()
                    await self._attempt(self._channel.acknowledge(tags))
            else:
                break
        self._sending = None
        if self._refused:
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
            self._session.end(f"an acknowledgement failed: {type(error).__name__}")

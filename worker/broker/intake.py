"""Intake: the messages of one queue.

One acknowledgement covers a range of messages, unless one of them stays: a message that is in a
request which hangs makes each later one cost an acknowledgement of its own, which is dear for the
worker and dearer for the broker. So when one stays for long, a new consumer takes its place beside
the old one, which goes as soon as nothing of it is left.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from aio_pika.abc import AbstractConnection

from worker.broker.channels import tells_of_the_line
from worker.broker.consumer import Consumer, Incoming
from worker.broker.deliveries import Sieve

if TYPE_CHECKING:
    from worker.broker.session import Session

_CONSUMERS_AT_MOST = 4
_ALONE_AT_LEAST = 8
_STUCK_SECONDS = 0.5
_LATELY_SECONDS = 0.25


class Intake:
    """Of one queue; `handler` gets each message, and must not block or raise. `prefetch` is how
    many it takes beside those that stay for long. While messages come by `first`, it takes its own
    more slowly. `room` is how many events it is reckoned to hold, where a message may have many.
    A message with a body of more than `most_body_bytes` is rejected unread.
    """

    def __init__(
        self,
        session: Session,
        queue: str,
        prefetch: int,
        handler: Callable[[Incoming], None],
        first: Intake | None = None,
        room: int | None = None,
        most_body_bytes: int = 1 << 64,
    ) -> None:
        self.session = session
        self.queue = queue
        self.prefetch = prefetch
        self.room = room or prefetch
        self.most_body_bytes = most_body_bytes
        self.in_hand = 0
        self.last_delivery_at = time.monotonic()
        self._handler = handler
        self._first = first
        self._consumers: list[Consumer] = []
        self._tending: asyncio.Task[None] | None = None

    async def start(self, connection: AbstractConnection, sieve: Sieve) -> None:
        """Start consuming. Raises what the broker answers."""
        self._connection = connection
        self._sieve = sieve
        await self._add_consumer()

    async def cancel(self) -> None:
        """Ask the broker for no more messages. Raises what the broker answers."""
        if self._tending is not None:
            await asyncio.wait({self._tending})
        await self._consumers[-1].cancel()

    async def close(self) -> None:
        """Send all acknowledgements that are owed; returns when the broker has taken them in."""
        for consumer in list(self._consumers):
            await consumer.close()

    @property
    def consumers(self) -> int:
        """How many consumers there are: one, and those with messages that stay."""
        return len(self._consumers)

    # Asked and told by consumers

    def gives_way(self) -> bool:
        """Whether another intake goes first now."""
        if self._first is None:
            return False
        return time.monotonic() - self._first.last_delivery_at < _LATELY_SECONDS

    def take(self, message: Incoming) -> None:
        """A message has come."""
        self.heard()
        self.in_hand += 1
        self._handler(message)

    def heard(self) -> None:
        """The broker has sent something: it and the line are alive."""
        self.last_delivery_at = self.session.last_heard_at = time.monotonic()

    def settled(self, consumer: Consumer) -> None:
        """A message of `consumer` is settled."""
        self.last_delivery_at = time.monotonic()
        self.in_hand -= 1
        if self.in_hand == 0:
            self.session.note_idle()
        if consumer.in_hand == 0 and consumer is not self._consumers[-1]:
            self._tend_soon()

    def lagging(self) -> None:
        """Messages were acknowledged one by one, since one before them stays."""
        if self._is_due_for_another():
            self._tend_soon()

    # Consumers come and go

    def _is_due_for_another(self) -> bool:
        last = self._consumers[-1]
        many = max(self.prefetch // 2, _ALONE_AT_LEAST)
        is_stuck = last.acknowledged_alone >= many and last.stuck_seconds >= _STUCK_SECONDS
        return is_stuck and len(self._consumers) < _CONSUMERS_AT_MOST

    def _tend_soon(self) -> None:
        if self._tending is None and not self.session.is_draining:
            self._tending = self.session.spawn(self._tend())

    async def _tend(self) -> None:
        try:
            if self._is_due_for_another():
                await self._add_consumer()
                await self._consumers[-2].cancel_at_rest()
            while (done := self._without_messages()) is not None:
                self._consumers.remove(done)
                await done.close()
        except Exception as error:
            if not tells_of_the_line(error):
                raise
            self.session.end(f"a change of consumers failed: {type(error).__name__}")
        self._tending = None

    def _without_messages(self) -> Consumer | None:
        return next((one for one in self._consumers[:-1] if one.in_hand == 0), None)

    async def _add_consumer(self) -> None:
        consumer = Consumer(self)
        self._consumers.append(consumer)  # before its first message
        await consumer.start(self._connection, self._sieve)

"""Intake: the messages of one queue, which come by one consumer as long as the session lives.

A consumer is cancelled only when the worker stops, and its channel is closed soon after. To replace
one whose messages stay would leave a cancelled consumer with messages, and what such a one holds is
not given out again when a node of RabbitMQ dies, until the queue has another leader.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from aio_pika.abc import AbstractConnection

from worker.broker.consumer import Consumer, Incoming
from worker.wire.tap import Sieve

if TYPE_CHECKING:
    from worker.broker.session import Session

_LATELY_SECONDS = 0.25


class Intake:
    """Of one queue; `handler` gets each message, and must not block or raise. `prefetch` is how
    many it has in hand at most. While messages come by `first`, it takes its own
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
        self.events_each = max(1, self.room // prefetch)
        """How much of the room a message is reckoned to take, however few events are in it: the
        prefetch counts messages."""
        self.most_body_bytes = most_body_bytes
        self.in_hand = 0
        self.last_delivery_at = time.monotonic()
        self._handler = handler
        self._first = first
        self._consumer = Consumer(self)

    async def start(self, connection: AbstractConnection, sieve: Sieve) -> None:
        """Start consuming. Raises what the broker answers."""
        await self._consumer.start(connection, sieve)

    async def cancel(self) -> None:
        """Ask the broker for no more messages. Raises what the broker answers."""
        await self._consumer.cancel()

    async def close(self) -> None:
        """Send all acknowledgements that are owed; returns when the broker has taken them in."""
        await self._consumer.close()

    @property
    def free(self) -> int:
        """How many events there is room for."""
        return (self.prefetch - self.in_hand) * self.events_each

    # Asked and told by the consumer

    def gives_way(self) -> bool:
        """Whether another intake goes first now."""
        if self._first is None:
            return False
        return time.monotonic() - self._first.last_delivery_at < _LATELY_SECONDS

    def take(self, message: Incoming) -> None:
        """A message has come."""
        self.last_delivery_at = self.session.last_heard_at = time.monotonic()
        self.in_hand += 1
        self._handler(message)

    def heard(self) -> None:
        """The broker has sent something: it and the line are alive."""
        self.last_delivery_at = self.session.last_heard_at = time.monotonic()

    def settled(self) -> None:
        """A message is settled."""
        self.last_delivery_at = time.monotonic()
        self.in_hand -= 1
        if self.in_hand == 0:
            self.session.note_idle()

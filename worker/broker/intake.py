"""Intake: the messages of one queue, which come by one consumer as long as the session lives.

A consumer is cancelled only when the worker stops, and its channel is closed soon after. To replace
one whose messages stay would leave a cancelled consumer with messages, and what such a one holds is
not given out again when a node of RabbitMQ dies, until the queue has another leader.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from aio_pika.abc import AbstractConnection

from worker.broker.consumer import Consumer
from worker.broker.message import Host, Incoming
from worker.broker.session_life import SessionLife
from worker.wire.frame_splitter import FrameSplitter

_GOES_FIRST_SECONDS: Final = 0.25
"""After a message of the intake that goes first, others give way for so long."""


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """What an intake of `queue` may hold: `prefetch` messages, reckoned as `room` events where a
    message may have many (0: as many as messages). A message with a body of more than
    `most_body_bytes` is rejected unread.
    """

    queue: str
    prefetch: int
    most_body_bytes: int
    room: int = 0


def shares(prefetch: int, queues: int) -> list[int]:
    """What each of so many queues has of `prefetch`, which is not exceeded by all together: quorum
    queues know no prefetch that consumers share (RabbitMQ documentation, "Quorum Queues"). A queue
    in which nothing goes on leaves the others theirs.
    """
    each, left = divmod(prefetch, queues)
    return [each + 1] * left + [each] * (queues - left)


class Intake:
    """The messages of one queue. Gives each to `handle`, which must not block or raise, and calls
    `became_empty` when none is in hand any more. While messages come by one of `first`, it takes
    its own more slowly.
    """

    def __init__(
        self,
        limits: IntakeLimits,
        host: Host,
        life: SessionLife,
        handle: Callable[[Incoming], None],
        became_empty: Callable[[], None],
        first: Sequence[Intake],
    ) -> None:
        self.host = host
        self.queue = limits.queue
        self.prefetch = limits.prefetch
        self.most_body_bytes = limits.most_body_bytes
        self.room = limits.room or limits.prefetch
        self.events_each = max(1, self.room // self.prefetch)
        """How much of the room a message is reckoned to take, however few events are in it: the
        prefetch counts messages."""
        self.taken = self.in_hand = self.receipted = 0
        self.free = self.prefetch * self.events_each
        """How many events there is room for. Kept, and not reckoned: each event asks for it."""
        self.last_delivery_at = time.monotonic()
        self._life = life
        self._handle = handle
        self._became_empty = became_empty
        self._first = first
        self._consumer = Consumer(self, life)

    async def start(self, connection: AbstractConnection, splitter: FrameSplitter) -> None:
        """Start consuming the queue of the intake. Raises what the broker answers."""
        await self._consumer.start(connection, splitter)

    async def cancel(self) -> None:
        """Ask the broker for no more messages of the queue. Raises what the broker answers."""
        await self._consumer.cancel()

    async def close(self) -> None:
        """Send all acknowledgements that are owed; returns when the broker has taken them in."""
        await self._consumer.close()

    # Asked and told by the consumer

    def gives_way(self) -> bool:
        """Whether another intake goes first now."""
        if not self._first:
            return False
        after = time.monotonic() - _GOES_FIRST_SECONDS
        return any(one.last_delivery_at > after for one in self._first)

    def receive(self, message: Incoming) -> None:
        """A message of the queue has come."""
        self.last_delivery_at = self._life.last_heard_at = time.monotonic()
        self.taken += 1
        self.in_hand += 1
        self.free -= self.events_each
        self._handle(message)

    def heard(self) -> None:
        """The broker has sent something: it and the connection are alive."""
        self.last_delivery_at = self._life.last_heard_at = time.monotonic()

    def note_record(self) -> None:
        """All that became of a message of the intake is on record, and it is done in a moment."""
        self.receipted += 1

    def message_done(self) -> None:
        """One message less of the intake is in hand."""
        self.last_delivery_at = time.monotonic()
        self.in_hand -= 1
        self.free += self.events_each
        if self.in_hand == 0:
            self._became_empty()

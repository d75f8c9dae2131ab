"""A producer that waits for confirms, and publishes again what was not confirmed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection

from devtools.chaos.customers import Customer
from devtools.choices import Event
from worker.broker.session_settings import address_of
from worker.settings import WorkerSettings
from worker.wire.connecting import CLOSE_TIMEOUT_SECONDS, at_most, connect, is_connection_error

LINES = 4
_CONFIRM_SECONDS = 30.0
_PAUSE_SECONDS = 0.5


class Producer:
    """Publishes `events` evenly over `seconds`, by several lines to a broker that may be away."""

    def __init__(
        self,
        settings: WorkerSettings,
        queues: Sequence[str],
        events: Sequence[tuple[Customer, Event]],
        seconds: float,
        tell: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._queues = queues
        self._events = events
        self._seconds = seconds
        self._tell = tell
        self.confirmed: Counter[tuple[str, str]] = Counter()
        """By integration and event: how often for sure."""

    async def run(self) -> None:
        """Returns when all are confirmed."""
        rest = iter(enumerate(self._events))
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(LINES):
                group.create_task(self._publish_some(rest, began))
        if self.confirmed.total() != len(self._events):  # a task that was cancelled is no failure
            raise RuntimeError(f"only {self.confirmed.total()} of {len(self._events)} published")

    async def _publish_some(
        self, rest: Iterator[tuple[int, tuple[Customer, Event]]], began: float
    ) -> None:
        line = _Line(self._settings)
        for number, (customer, event) in rest:
            due = began + number / len(self._events) * self._seconds
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            queue = self._queues[number % len(self._queues)]  # so a person's are on all of them
            while not await line.is_published(customer.body(event), queue):
                self._tell(f"producer: publishes {event.id} again")
                await asyncio.sleep(_PAUSE_SECONDS)
            self.confirmed[customer.id, event.id] += 1
        await line.close()


class _Line:
    """One connection after the other."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None

    async def is_published(self, body: bytes, queue: str) -> bool:
        """Whether the broker has confirmed it; if not, it may be there all the same."""
        publishing = asyncio.ensure_future(self._publish(body, queue))
        await asyncio.wait({publishing}, timeout=_CONFIRM_SECONDS)
        if not publishing.done():
            # Not awaited: on a stalled line a cancelled call waits for the broker.
            publishing.add_done_callback(lambda done: done.cancelled() or done.exception())
            publishing.cancel()
        elif not publishing.cancelled():  # which aiormq does when a line ends
            error = publishing.exception()
            if error is None:
                return True
            if not isinstance(error, Exception) or not is_connection_error(error):
                raise error
        await self.close()
        return False

    async def _publish(self, body: bytes, queue: str) -> None:
        if self._channel is None:
            self._connection = await connect(address_of(self._settings), "producer")
            self._channel = await self._connection.channel(publisher_confirms=True)
        message = aio_pika.Message(body, delivery_mode=2)
        await self._channel.default_exchange.publish(message, queue)

    async def close(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            await at_most(CLOSE_TIMEOUT_SECONDS, connection.close())

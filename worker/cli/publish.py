"""`consent-worker publish`: events from a file into the queue, confirmed."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from itertools import cycle
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import aio_pika
import typer
from aio_pika.abc import AbstractExchange

from worker.broker.bounded_tasks import InFlight
from worker.broker.broker_access import broker_connection, topology_of
from worker.broker.ensured_topology import ensure
from worker.cli.command_support import command_settings, say
from worker.cli.event_input import BadInput, EventReader, InputEvent
from worker.cli.streamed_files import CHUNK_BYTES, chunks
from worker.cli.terminal import progress
from worker.counting import counted
from worker.interrupt import Stop, stoppable

_AT_ONCE: Final = 500
_CONFIRM_TIMEOUT_SECONDS: Final = 30.0


def publish(
    file: Annotated[str, typer.Argument(help="JSON or JSON lines; - reads standard input.")],
    start: Annotated[
        int, typer.Option(min=1, help="First line, or item of an array, to publish.")
    ] = 1,
) -> None:
    """Publish events as a producer would, and wait until the broker has them.

    JSON lines are sent while they are read. A file is checked as a whole before the first is sent.
    """
    publishing = _Publishing(start)
    if file == "-":
        asyncio.run(publishing.run(sys.stdin.fileno(), None))
    else:
        with Path(file).open("rb") as stream:
            total = _check(stream, start) if stream.seekable() else None
            asyncio.run(publishing.run(stream.fileno(), total))
    say(f"published {counted(publishing.confirmed, 'event')}")


def _check(stream: BinaryIO, start: int) -> int:
    """How many events there are to publish. Raises `BadInput`; leaves `stream` at its start."""
    reader = EventReader()
    count = 0
    try:
        while chunk := stream.read(CHUNK_BYTES):
            count += sum(event.number >= start for event in reader.feed(chunk))
        count += sum(event.number >= start for event in reader.finish())
    except BadInput as error:
        raise BadInput(f"{error}; published nothing") from None
    stream.seek(0)
    return count


class _Publishing:
    """Publishes from the event of number `start` on, and knows which were confirmed."""

    def __init__(self, start: int) -> None:
        self._next = start
        self._unconfirmed: dict[int, None] = {}
        self._reader = EventReader()
        self.confirmed = 0

    async def run(self, descriptor: int, total: int | None) -> None:
        """Raises `BadInput`, `Interrupted` or `BrokerAway`, each saying how far it came."""
        settings = command_settings()
        topology = topology_of(settings)
        async with broker_connection(settings, "publish", self._so_far) as connection:
            await ensure(connection, topology)
            channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
            targets = cycle(
                [
                    (await channel.get_exchange(exchange, ensure=False), routing_key)
                    for exchange, routing_key in topology.names.event_targets
                ]
            )
            in_flight = InFlight(_AT_ONCE)
            with stoppable() as stop, progress("published", total) as advance:
                try:
                    async for event in self._events(descriptor, stop):
                        self._unconfirmed[event.number] = None
                        self._next = event.number + 1
                        await in_flight.add(self._publish(*next(targets), event))
                        advance()
                except BadInput as error:
                    await in_flight.drain()
                    raise BadInput(f"{error}; {self._so_far()}") from None
                finally:
                    await in_flight.drain()
            stop.check(self._so_far())

    async def _events(self, descriptor: int, stop: Stop) -> AsyncIterator[InputEvent]:
        """The events from `start` on, until asked to stop."""
        first = self._next
        async for chunk in chunks(descriptor, stop.asked):
            for event in self._reader.feed(chunk):
                if event.number >= first and not stop.is_asked:
                    yield event
        for event in self._reader.finish() if not stop.is_asked else ():
            if event.number >= first and not stop.is_asked:
                yield event

    async def _publish(
        self, exchange: AbstractExchange, routing_key: str, event: InputEvent
    ) -> None:
        message = aio_pika.Message(
            event.body,
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=uuid.uuid4().hex,
        )
        await exchange.publish(message, routing_key, timeout=_CONFIRM_TIMEOUT_SECONDS)
        del self._unconfirmed[event.number]
        self.confirmed += 1

    def _so_far(self) -> str:
        """How many are there for sure, and where a second run has to begin."""
        start = min(self._unconfirmed, default=self._next)
        return f"published {counted(self.confirmed, 'event')}; go on with --start {start}"

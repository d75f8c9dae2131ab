"""One session with RabbitMQ: one intake per queue on one connection, and publishing on another.

Intake is never repaired. Whatever goes wrong with a part of it ends the session as a whole, and the
`Broker` opens a new one: so no bookkeeping of unacknowledged messages can survive the channel that
it belongs to (a tag of an old channel is worthless, and acknowledging it is a channel error).

Publishing has a connection of its own, as RabbitMQ's documentation advises: under a memory or disk
alarm the broker stops reading from connections that publish, and intake must go on holding its
messages meanwhile instead of returning them again and again. It keeps account of what is not
confirmed by itself, so it opens its connection anew when that is lost (`Publisher`), and what is in
hand stays in hand.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol

import structlog
from aio_pika.abc import AbstractConnection
from aiormq import Channel
from aiormq.exceptions import AMQPError
from pamqp.commands import Basic

from worker.broker.consumer import Incoming
from worker.broker.headers import most_body_bytes
from worker.broker.intake import Intake
from worker.broker.locks import take_lock
from worker.broker.publisher import Publisher
from worker.broker.publishing_line import PublishingLine
from worker.broker.topology import Topology, assert_bindings
from worker.settings import WorkerSettings
from worker.wire.channels import tells_of_the_line
from worker.wire.confirms import Publish
from worker.wire.connect import (
    CLOSE_TIMEOUT_SECONDS,
    CONNECT_TIMEOUT_SECONDS,
    at_most,
    connect,
)
from worker.wire.tap import Deliveries

log = structlog.get_logger(__name__)

PARKED_PREFETCH = 50
"""Messages of parked events, most of them bundles, in hand at once."""


class Handler(Protocol):
    """Is given every message, and told when a session ends."""

    def take(self, message: Incoming) -> None:
        """Must neither block nor raise, and settles the message in the end."""
        ...

    def forget(self, session: Session) -> None:
        """Let go of what came by `session`: the broker has it again."""
        ...


class Session:
    """Connected by `connect` and opened by `open`, it lives until `lost` is set.

    A worker that keeps the state of newest-wins for itself is to be the only one, so in between it
    must get a lock, which lives on the connection of the intake: who lost that consumes nothing.
    """

    def __init__(self, settings: WorkerSettings, topology: Topology, handler: Handler) -> None:
        self._settings = settings
        self._topology = topology
        self._handler = handler
        self._connection: AbstractConnection | None = None
        self._publisher: Publisher | None = None
        self._released: set[Channel] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._deliveries = Deliveries()
        self._needs_lock = settings.state_kind != "redis"
        self.intakes: list[Intake] = []
        self._checking: asyncio.Task[None] | None = None
        self.last_heard_at = 0.0
        self.lost = asyncio.Event()
        self.loss_reason = ""
        self.depths: dict[str, int] = {}
        self.refused = 0
        """Messages that the broker was told to make dead letters of, unread."""
        self.is_draining = False

    async def connect(self) -> None:
        """Open the line of the intake; raises what the broker answers."""
        intake = self._connection = await connect(self._settings, "intake", self._deliveries)
        intake.close_callbacks.add(lambda *_: self.end("the intake connection closed"), weak=False)

    async def may_consume(self) -> bool:
        """Whether no other worker without a shared store does, from now on. Asked again, it takes
        a lock back that a policy with `expires` has deleted. Raises what the broker answers.
        """
        if not self._needs_lock:
            return True
        return await take_lock(self._line, self._topology.names.single_worker)

    async def open(self) -> None:
        """Declare the topology and start consuming, connecting before if that is not done; raises
        what the broker answers.
        """
        if self._connection is None:
            await self.connect()
        intake = self._line
        self._publisher = Publisher(
            self._new_line, self._settings.publish_timeout_seconds, self.end
        )
        await self._publisher.start()
        self._watch_channel = await intake.channel(publisher_confirms=False)
        self._watch_channel.close_callbacks.add(
            lambda *_: self.end("the watch channel closed"), weak=False
        )
        names = self._topology.names
        take, prefetch = self._handler.take, self._settings.prefetch_events
        most = most_body_bytes(self._settings.max_event_bytes)
        events = Intake(self, names.events, prefetch, take, most_body_bytes=most)
        retries = Intake(
            self, names.retries, self._settings.prefetch_retries, take, events, most_body_bytes=most
        )
        # A message of parked events has many, so few of these fill as much room as all fresh ones.
        parked = Intake(
            self, names.parked, PARKED_PREFETCH, take, events, prefetch, most_body_bytes=most
        )
        suspects = Intake(self, names.suspects, 1, take, most_body_bytes=most)
        for one in (events, retries, parked, suspects):
            await one.start(intake, self._deliveries.sieve)
            self.intakes.append(one)

    def publish(
        self,
        exchange: str,
        routing_key: str,
        properties: Basic.Properties,
        body: bytes,
        then: Callable[[], None],
        *,
        mandatory: bool = True,
    ) -> None:
        """Publish until the broker has confirmed it, and call `then`; never, if the session is lost
        before: then the broker delivers again what the message was to follow.
        """
        if self._publisher is not None and not self.lost.is_set():
            one = Publish(exchange, routing_key, properties, body, mandatory, then)
            self._publisher.publish(one)

    @property
    def publish_trouble(self) -> str:
        """What is wrong with publishing, if anything."""
        return self._publisher.trouble if self._publisher else ""

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` until it ends or the session closes."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def note_idle(self) -> None:
        """An intake has nothing in hand any more."""
        if self.in_hand == 0:
            self._idle.set()

    def end(self, reason: str) -> None:
        """Declare this session lost, once."""
        if not self.lost.is_set():
            self.loss_reason = reason
            self.lost.set()

    async def check(self, idle_limit_seconds: float) -> None:
        """Compare what the broker says of our queues with what we see; ends a session that lies.

        A consumer may be gone without a word (aio-pika issue #334; a quorum queue that was deleted
        and declared again): then messages are ready, there is room for them, and none comes.
        """
        began = time.monotonic()
        if self._checking is None or self._checking.done():
            self._checking = self.spawn(self._compare(idle_limit_seconds))
        await asyncio.wait({self._checking}, timeout=CONNECT_TIMEOUT_SECONDS)
        # Answers queue behind deliveries: while these come, a late one tells of no dead line.
        if not self._checking.done() and self.last_heard_at < began:
            self.end("the broker did not answer a check in time")

    async def drain(self, deadline_seconds: float) -> None:
        """Stop intake, then wait for what is in hand, `deadline_seconds` at the most."""
        self.is_draining = True
        for intake in self.intakes:
            with suppress(AMQPError, TimeoutError, OSError, RuntimeError):
                await at_most(CLOSE_TIMEOUT_SECONDS, intake.cancel())
        self._idle.clear()
        if self.in_hand:
            endings = {asyncio.create_task(one.wait()) for one in (self._idle, self.lost)}
            await asyncio.wait(
                endings, timeout=deadline_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            for ending in endings:
                ending.cancel()
        # Closing a channel is answered after the acknowledgements before it were taken in, while
        # closing the connection at once would overtake those that are still in the write queue.
        for intake in self.intakes:
            await at_most(CLOSE_TIMEOUT_SECONDS, intake.close())

    async def close(self) -> None:
        """Abandon what is still in hand (the broker delivers it again) and close both lines."""
        self.end("closed")
        self._handler.forget(self)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT_SECONDS)
        if self._publisher is not None:
            await self._publisher.close()
        if self._connection is not None:
            await at_most(CLOSE_TIMEOUT_SECONDS, self._connection.close())

    @property
    def in_hand(self) -> int:
        """Messages taken and not settled yet."""
        return sum(intake.in_hand for intake in self.intakes)

    @property
    def capacity(self) -> int:
        """Messages that may be in hand at once, by prefetch."""
        return sum(intake.prefetch for intake in self.intakes)

    async def _compare(self, idle_limit_seconds: float) -> None:
        try:
            if not await self.may_consume():
                self.end("another worker without a shared store consumes")
                return
            for name in [queue.name for queue in self._topology.queues]:
                queue = await self._watch_channel.declare_queue(name, passive=True)
                ready = queue.declaration_result.message_count or 0
                consumers_there = queue.declaration_result.consumer_count or 0
                self.depths[name] = ready
                for intake in self.intakes:
                    if intake.queue == name:
                        self._judge(intake, ready, consumers_there, idle_limit_seconds)
            if self._settings.delay == "plugin":
                await assert_bindings(self._watch_channel, self._topology)
        except Exception as error:
            if not tells_of_the_line(error):
                raise
            self.end(f"the broker did not answer a check: {type(error).__name__}")

    def _judge(
        self, intake: Intake, ready: int, consumers_there: int, idle_limit_seconds: float
    ) -> None:
        idle = time.monotonic() - intake.last_delivery_at
        has_room = intake.in_hand < intake.prefetch
        silent = ready > 0 and has_room and idle > idle_limit_seconds
        if not self.is_draining and (consumers_there == 0 or silent):
            self.end(f"the consumer of {intake.queue} is silently gone")

    def end_with(self, channel: Channel, purpose: str) -> None:
        """The session ends when `channel` closes, unless it is released before."""

        def closed(closing: asyncio.Future[Any]) -> None:
            closing.cancelled() or closing.exception()  # asked for, or asyncio would complain
            if channel not in self._released:
                self.end(f"the {purpose} channel closed")
            self._released.discard(channel)

        channel.closing.add_done_callback(closed)

    def release(self, channel: Channel) -> None:
        """`channel` is about to be closed by us."""
        self._released.add(channel)

    @property
    def _line(self) -> AbstractConnection:
        if self._connection is None:
            raise ConnectionError("not connected")
        return self._connection

    def _new_line(self) -> PublishingLine:
        return PublishingLine(self._settings, self._topology)

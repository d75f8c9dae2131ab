"""Compares what the broker says of our queues and exchanges with what a session sees of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from aio_pika.abc import AbstractConnection

from worker.broker.intake import Intake
from worker.broker.session_life import SessionLife
from worker.broker.topology import Topology, assert_bindings
from worker.wire.connecting import (
    CONNECT_TIMEOUT_SECONDS,
    AMQPError,
    ChannelAccessRefused,
    is_connection_error,
)

_BIND_AGAIN_CHECKS: Final = 12
"""Nothing tells whether a binding is there, so all are declared again at each so many checks."""


class Watch:
    """Ends a session that lies, of which `life` and `intakes` are, or that misses a queue or an
    exchange: the next session declares them. `depths` are ready messages by queue, and `consumers`
    how many take from it, of all workers. `may_consume` is asked each time. Bindings are declared
    again at times, and at each check where it `rebinds`.
    """

    def __init__(
        self,
        topology: Topology,
        life: SessionLife,
        intakes: Sequence[Intake],
        may_consume: Callable[[], Awaitable[bool]],
        *,
        rebinds: bool,
    ) -> None:
        self._topology = topology
        self._life = life
        self._intakes = intakes
        self._may_consume = may_consume
        self._rebinds = rebinds
        self._checking: asyncio.Task[None] | None = None
        self._checks = 0
        self.depths: dict[str, int] = {}
        self.consumers: dict[str, int] = {}

    async def start(self, connection: AbstractConnection) -> None:
        """Open the channel to ask the broker by. Raises what that answers."""
        self._connection = connection
        self._channel = await connection.channel(publisher_confirms=False)
        self._channel.close_callbacks.add(
            lambda *_: self._life.end("the watch channel closed"), weak=False
        )

    async def check(self, idle_limit_seconds: float) -> None:
        """Compare what the broker says with a session, and end one that lies; returns after a few
        seconds at the latest.

        A consumer may be gone without a word (aio-pika issue #334; a quorum queue that was deleted
        and declared again): then messages are ready, there is room for them, and none comes.
        """
        began = time.monotonic()
        if self._checking is None or self._checking.done():
            self._checking = self._life.spawn(self._compare(idle_limit_seconds))
        await asyncio.wait({self._checking}, timeout=CONNECT_TIMEOUT_SECONDS)
        # Answers queue behind deliveries: while these come, a late one tells of no dead connection.
        if not self._checking.done() and self._life.last_heard_at < began:
            self._life.end("the broker did not answer a check in time")

    async def left_behind(self) -> dict[str, int]:
        """Messages by event queue from which nobody takes, though others go on with the rest: they
        have another list. To be asked when this worker has stopped taking.
        """
        names = self._topology.names
        left: dict[str, int] = {}
        with suppress(AMQPError, OSError, RuntimeError):
            others = await self._ask(names.events)
            for name in names.event_queues if others else ():
                if not await self._ask(name) and self.depths[name]:
                    left[name] = self.depths[name]
        return left

    async def _ask(self, name: str) -> int:
        """How many take from a queue. Raises what the broker answers."""
        queue = await self._channel.declare_queue(name, passive=True)
        self._heard()
        self.depths[name] = queue.declaration_result.message_count or 0
        consumers = queue.declaration_result.consumer_count or 0
        is_ours = any(intake.queue == name for intake in self._intakes)
        if consumers or self.depths[name] or not is_ours:  # else see `_judge`
            self.consumers[name] = consumers
        return consumers

    async def _compare(self, idle_limit_seconds: float) -> None:
        try:
            if not await self._may_consume():
                self._life.end("another worker without a shared store consumes")
                return
            for name in [queue.name for queue in self._topology.queues]:
                consumers_there = await self._ask(name)
                for intake in self._intakes:
                    if intake.queue == name:
                        self._judge(intake, self.depths[name], consumers_there, idle_limit_seconds)
            for exchange in self._topology.exchanges:
                await self._channel.declare_exchange(exchange.name, passive=True)
                self._heard()
            self._checks += 1
            if self._rebinds:
                await assert_bindings(self._channel, self._topology)
            elif self._checks % _BIND_AGAIN_CHECKS == 0:
                await self._bind_again()
        except Exception as error:
            if not is_connection_error(error):
                raise
            self._life.end(f"the broker did not answer a check: {type(error).__name__}")

    def _heard(self) -> None:
        """The broker lives: a check has dozens of questions, and a busy worker asks them slowly."""
        self._life.last_heard_at = time.monotonic()

    async def _bind_again(self) -> None:
        """On a channel of its own: who may not bind, by rights that were withdrawn, goes on."""
        channel = await self._connection.channel(publisher_confirms=False)
        try:
            await assert_bindings(channel, self._topology)
        except ChannelAccessRefused:
            pass
        finally:
            if not channel.is_closed:
                await channel.close()

    def _judge(
        self, intake: Intake, ready: int, consumers_there: int, idle_limit_seconds: float
    ) -> None:
        idle_seconds = time.monotonic() - intake.last_delivery_at
        has_room = intake.in_hand < intake.prefetch
        is_silent = has_room and idle_seconds > idle_limit_seconds
        # RabbitMQ says of a queue whose leader does not answer that it has neither messages nor
        # consumers. A session that ended then would return the events of all other queues, too.
        if not self._life.is_draining and ready > 0 and (consumers_there == 0 or is_silent):
            self._life.end(f"the consumer of {intake.queue} is silently gone")

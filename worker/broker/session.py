"""One session with RabbitMQ: one intake per queue on one connection, and publishing on another.

Intake is never repaired. Whatever goes wrong with a part of it ends the session as a whole, and the
`Supervisor` opens a new one: so no bookkeeping of unacknowledged messages can survive the channel
that it belongs to (a tag of an old channel is worthless, and acknowledging it is a channel error).

Publishing has a connection of its own, as RabbitMQ's documentation advises: under a memory or disk
alarm the broker stops reading from connections that publish, and intake must go on holding its
messages meanwhile instead of returning them again and again. It keeps account of what is not
confirmed by itself, so it opens its connection anew when that is lost (`Publisher`), and what is in
hand stays in hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import structlog
from aio_pika.abc import AbstractConnection

from worker.broker.headers import most_body_bytes
from worker.broker.intake import Intake, IntakeLimits, shares
from worker.broker.message import Handler
from worker.broker.publisher import Publisher
from worker.broker.publishing_connection import PublishingConnection
from worker.broker.queue_locks import acquire_lock
from worker.broker.queue_watch import Watch
from worker.broker.session_life import SessionLife
from worker.broker.session_settings import SessionSettings
from worker.broker.topology import Topology, declare
from worker.wire.confirms import Outgoing
from worker.wire.connecting import CLOSE_TIMEOUT_SECONDS, AMQPError, at_most, connect
from worker.wire.message_tap import TappedTransport
from worker.wire.property_reader import Properties

log = structlog.get_logger(__name__)

PARKED_PREFETCH: Final = 50
"""Messages of parked events, most of them bundles, in hand at once."""
_DONE_IN_SECONDS: Final = 1.0
"""At a stop, what an endpoint that does well answers is done within so long."""
_GIVE_BACK_SECONDS: Final = 0.25
"""So often the rest is given back, since what is in hand may become a delivery only meanwhile."""
_CONFIRM_SECONDS: Final = 0.4
"""With less time left what is given back may not be confirmed, and would be there twice."""
_LEFT: Final = (
    "no worker takes from it any more, as CONSENT_WORKER_EVENT_QUEUES of the others does not name "
    "it: name it again, or see `consent-worker topology migrate --drop`"
)


class Session:
    """A session is connected by `connect` and opened by `open`, and lives until `lost` is set.

    A worker that keeps the state of newest-wins for itself is to be the only one, so in between it
    must get a lock, which lives on the connection of the intake: who lost that consumes nothing.
    """

    def __init__(self, settings: SessionSettings, topology: Topology, handler: Handler) -> None:
        self._settings = settings
        self._topology = topology
        self._handler = handler
        self._life = SessionLife()
        self._connection: AbstractConnection | None = None
        self._publisher: Publisher | None = None
        self._idle = asyncio.Event()
        self._transport = TappedTransport()
        self.intakes: list[Intake] = []
        self.watch = Watch(
            topology, self._life, self.intakes, self.may_consume, rebinds=settings.rebinds
        )
        self.lost = self._life.lost

    async def connect(self) -> None:
        """Open the connection of the intake; raises what the broker answers."""
        intake = await connect(self._settings.address, "intake", self._transport)
        self._connection = intake
        intake.close_callbacks.add(
            lambda *_: self._life.end("the intake connection closed"), weak=False
        )

    async def may_consume(self) -> bool:
        """Whether no other worker without a shared store consumes, from now on. Asked again, it
        takes a lock back that a policy with `expires` has deleted. Raises what the broker answers.
        """
        if not self._settings.needs_lock:
            return True
        if self._connection is None:
            raise ConnectionError("not connected")
        return await acquire_lock(self._connection, self._topology.names.single_worker)

    async def open(self) -> None:
        """Declare the topology and start consuming, connecting before if that is not done; raises
        what the broker answers.
        """
        if self._connection is None:
            await self.connect()
        connection = self._connection
        if connection is None:
            raise ConnectionError("not connected")
        self._publisher = Publisher(
            lambda: PublishingConnection(
                self._settings.address, partial(declare, topology=self._topology)
            ),
            self._settings.publish_timeout_seconds,
            self._life.end,
        )
        await self._publisher.start()
        await self.watch.start(connection)
        for one in self._new_intakes():
            await one.start(connection, self._transport.splitter)
            self.intakes.append(one)

    def publish(
        self,
        exchange: str,
        routing_key: str,
        properties: Properties,
        body: bytes,
        then: Callable[[], None],
        *,
        mandatory: bool = True,
        too_large: Callable[[int], None] | None = None,
    ) -> None:
        """Publish a message until the broker has confirmed it, and call `then`; never, if the
        session is lost before: then the broker delivers again what the message was to follow.
        Instead of `then`, `too_large` is called with the broker's bound for a body above that.
        """
        if self._publisher is not None and not self.lost.is_set():
            one = Outgoing(exchange, routing_key, properties, body, mandatory, then, too_large)
            self._publisher.publish(one)

    async def check(self, idle_limit_seconds: float) -> None:
        """Compare what the broker says with the session; see `Watch.check`."""
        await self.watch.check(idle_limit_seconds)

    async def drain(self, deadline_seconds: float) -> None:
        """Stop intake, then wait for what is in hand, `deadline_seconds` at the most. What is not
        done in a moment is given back, so that a cancelled consumer holds messages for a moment
        only (see `Intake`).
        """
        for intake in self.intakes:
            with suppress(AMQPError, TimeoutError, OSError, RuntimeError):
                await at_most(CLOSE_TIMEOUT_SECONDS, intake.cancel())
        # Not before: what has come by then is ours, and is to be done or given back.
        self._life.is_draining = True
        self._idle.clear()
        if self.in_hand:
            endings = (self._idle, self.lost)
            give_back = partial(self._handler.give_back, self)
            await _give_back_until(endings, deadline_seconds, give_back)
        # Closing a channel is answered after the acknowledgements before it were taken in, while
        # closing the connection at once would overtake those that are still in the write queue.
        for intake in self.intakes:
            await at_most(CLOSE_TIMEOUT_SECONDS, intake.close())
        if len(self._topology.names.event_queues) > 1 and not self.lost.is_set():
            await at_most(CLOSE_TIMEOUT_SECONDS, self._tell_of_left())

    async def close(self) -> None:
        """Abandon what is still in hand (the broker delivers it again), close both connections."""
        self._life.end("closed")
        self._handler.session_ended(self)
        await self._life.cancel_tasks(CLOSE_TIMEOUT_SECONDS)
        if self._publisher is not None:
            await self._publisher.close()
        if self._connection is not None:
            await at_most(CLOSE_TIMEOUT_SECONDS, self._connection.close())

    @property
    def loss_reason(self) -> str:
        """Why the session was lost, "" while it lives."""
        return self._life.loss_reason

    @property
    def publish_trouble(self) -> str:
        """What is wrong with publishing, if anything."""
        return self._publisher.trouble if self._publisher else ""

    @property
    def refused(self) -> int:
        """Messages that the broker was told to make dead letters of, unread."""
        return self._life.refused

    @property
    def in_hand(self) -> int:
        """Messages received that are not done yet."""
        return sum(intake.in_hand for intake in self.intakes)

    def _new_intakes(self) -> tuple[Intake, ...]:
        """Of fresh events, due retries, parked events and suspects; fresh events go first."""
        names, settings = self._topology.names, self._settings
        most = most_body_bytes(settings.max_event_bytes)

        def intake(limits: IntakeLimits, first: Sequence[Intake] = ()) -> Intake:
            return Intake(limits, self, self._life, self._handler.handle, self._note_idle, first)

        parts = shares(settings.prefetch_events, len(names.event_queues))
        events = [
            intake(IntakeLimits(queue, part, most))
            for queue, part in zip(names.event_queues, parts, strict=True)
        ]
        retries = intake(IntakeLimits(names.retries, settings.prefetch_retries, most), events)
        # A message of parked events has many, so few of these fill as much room as all fresh ones.
        room = settings.prefetch_events
        parked = intake(IntakeLimits(names.parked, PARKED_PREFETCH, most, room=room), events)
        suspects = intake(IntakeLimits(names.suspects, 1, most))
        return *events, retries, parked, suspects

    async def _tell_of_left(self) -> None:
        for queue, messages in (await self.watch.left_behind()).items():
            log.warning("queue.left", queue=queue, messages=messages, detail=_LEFT)

    def _note_idle(self) -> None:
        """An intake has nothing in hand any more."""
        if self.in_hand == 0:
            self._idle.set()


async def _give_back_until(
    endings: Sequence[asyncio.Event], deadline_seconds: float, give_back: Callable[[], None]
) -> None:
    """Return when one of `endings` is set, or the time is over; `give_back` meanwhile what is not
    done in a moment.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deadline_seconds
    patience = min(_DONE_IN_SECONDS, deadline_seconds / 2)
    waiting = {asyncio.create_task(one.wait()) for one in endings}
    while (left := deadline - loop.time()) > 0:
        seconds = min(patience, left)
        done, _ = await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if done:
            break
        patience = _GIVE_BACK_SECONDS
        if deadline - loop.time() > _CONFIRM_SECONDS:
            give_back()
    for one in waiting:
        one.cancel()

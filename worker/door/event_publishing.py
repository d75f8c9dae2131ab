"""Puts the door's events on the queue, each once, and says in time what came of each.

Whatever goes wrong with one, Didomi sends it again: so nothing is tried twice here, and nobody
waits for a broker that is away. An event that RabbitMQ confirms after Didomi was told to come again
is on the queue twice, which newest-wins makes harmless.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from worker.broker.declare_refusals import TopologyConflict
from worker.broker.publishing_connection import Connections, PublishingConnection, of_alarm
from worker.broker.republished import new_message_id
from worker.door.answers import AnswerCode
from worker.door.event_queues import EventQueues
from worker.door.retired_connection import RetiredConnection
from worker.door.sent_events import Record, SentEvent, SentEvents
from worker.events import Envelope
from worker.wire.confirms import REFUSED, Outgoing
from worker.wire.connecting import is_connection_error, why_unreachable
from worker.wire.property_reader import PERSISTENT, Properties

log = structlog.get_logger(__name__)

GATHER_SECONDS: Final = 0.005
"""What comes meanwhile goes in one write; a webhook waits for it beside RabbitMQ's confirm."""
STALLED_SECONDS: Final = 10.0
"""Without a confirm for so long, and without an alarm, the connection counts as stalled."""
REFUSED_SECONDS: Final = 30.0
"""After refusals for so long another connection is opened, and then takes the place of this one:
RabbitMQ 3.10 goes on refusing on the channel that it refused on while a queue was full."""
_LOOK_SECONDS: Final = 0.1
_PROBE_SECONDS: Final = 1.0


class EventPublishing:
    """Publishes events to `queues` on connections that `new_connection` makes; `run` keeps one up.
    Times are those of the loop, in seconds.
    """

    def __init__(
        self,
        new_connection: Callable[[], PublishingConnection],
        queues: EventQueues,
        record: Record,
    ) -> None:
        self._connections = Connections(new_connection)
        self._queues = queues
        self._record = record
        self._loop = asyncio.get_running_loop()
        self._connection: PublishingConnection | None = None
        self._is_broken = asyncio.Event()
        self._away = "not connected yet"
        self._alarm = ""
        self._sent = SentEvents()
        self._looking: asyncio.TimerHandle | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._retired: RetiredConnection | None = None

    @property
    def refusal(self) -> AnswerCode | None:
        """Why no event can be taken now; None where one can."""
        if self._connection is None or self._connection.channel.is_closed:
            return AnswerCode.BROKER_AWAY
        if self._alarm:
            return AnswerCode.BROKER_BLOCKED
        return AnswerCode.BUSY if self._sent.is_full else None

    @property
    def trouble(self) -> str:
        """Why no event can be taken now, for operators; "" where nothing is wrong."""
        if self._connection is None:
            return self._away
        if self._alarm:
            return of_alarm(self._alarm)
        return "" if self.refusal is None else "too many events are not confirmed"

    @property
    def note(self) -> str:
        """What operators should look at though events are taken; "" where there is nothing."""
        return self._queues.note

    @property
    def in_hand(self) -> int:
        """Events that are not confirmed, or not on record."""
        return len(self._sent)

    def publish(self, event: Envelope, body: bytes, ends_at: float) -> asyncio.Future[AnswerCode]:
        """Publish an event; gives what is to be answered, by `ends_at`."""
        answered: asyncio.Future[AnswerCode] = self._loop.create_future()
        refusal, connection = self.refusal, self._connection
        if refusal is not None or connection is None:
            answered.set_result(refusal or AnswerCode.BROKER_AWAY)
            return answered
        properties = Properties(
            content_type="application/json",
            delivery_mode=PERSISTENT,
            message_id=new_message_id(),
        )
        exchange, routing_key = self._queues.next(self._loop.time())
        one = Outgoing(exchange, routing_key, properties, body, True, _nothing)
        arrival = self._record.arrival_of(event, body)
        self._sent.add(one, SentEvent(arrival, answered, ends_at, self._loop.time()))
        connection.channel.send(one)
        return answered

    async def run(self) -> None:
        """Keep a connection to RabbitMQ up until this is cancelled. Raises `TopologyConflict`."""
        is_told = False
        self._look()
        try:
            while True:
                began = self._loop.time()
                try:
                    connection = await self._connections.opened(self._lost)
                    is_told = False
                    log.info("door.broker_there")
                    self._is_broken.clear()
                    self._use(connection)
                    await self._is_broken.wait()
                except TopologyConflict:
                    raise
                except Exception as error:
                    if not is_connection_error(error):
                        log.exception("door.unexpected_error", error=type(error).__name__)
                    self._away = why_unreachable(error)
                finally:
                    self._let_go()
                if not is_told:
                    log.warning("door.broker_away", detail=self._away)
                    is_told = True
                await asyncio.sleep(max(0.0, began + _PROBE_SECONDS - self._loop.time()))
        finally:
            if self._looking is not None:
                self._looking.cancel()
            if self._renewing is not None:
                await asyncio.wait([self._renewing])
            await self._connections.all_closed()

    def _use(self, connection: PublishingConnection) -> None:
        connection.channel.answered = self._answered
        connection.alarm_changed = self._alarm_changed
        self._connection = connection
        self._alarm_changed()
        if connection.channel.is_closed:
            self._break(connection.why_lost)  # before anybody listened

    async def _renew(self) -> None:
        """Use another connection. Events are taken by the one in use until that is there, and it
        is kept for their confirms: most queues may be well.
        """
        former = self._connection
        try:
            connection = await self._connections.opened(self._lost)
        except Exception as error:
            if not isinstance(error, TopologyConflict) and not is_connection_error(error):
                log.exception("door.unexpected_error", error=type(error).__name__)
            await asyncio.sleep(_PROBE_SECONDS)
            return
        now = self._loop.time()
        self._queues.renewed(now)
        if former is not None:
            self._retired = RetiredConnection(former, self._sent, now + STALLED_SECONDS)
        self._use(connection)

    def _look(self) -> None:
        """Tell those whose time is over, and find out whether the connection is of any use."""
        self._looking = self._loop.call_later(_LOOK_SECONDS, self._look)
        now = self._loop.time()
        self._sent.expire(now)
        if self._retired is not None and self._retired.is_over(now):
            self._retired.let_go(self._connections.close_soon)
            self._retired = None
        if self._connection is None or self._retired is not None or self._alarm:
            return
        if self._queues.silent_for(self._sent.oldest_at(), now) >= STALLED_SECONDS:
            self._break(f"no confirm in {STALLED_SECONDS:g} s")
        refusing_since = self._queues.refusing_since
        is_refused = refusing_since is not None and now - refusing_since >= REFUSED_SECONDS
        has_no_room = self._sent.is_full and self._queues.has_silent
        is_under_way = self._renewing is not None and not self._renewing.done()
        if (is_refused or has_no_room) and not is_under_way:
            self._renewing = asyncio.create_task(self._renew())

    def _answered(self, one: Outgoing, problem: str) -> None:
        event = self._sent.take(one)
        if event is None:
            return
        if problem:
            self._queues.refused(one.routing_key, self._loop.time())
            is_full = problem == REFUSED
            event.tell(AnswerCode.QUEUE_FULL if is_full else AnswerCode.NO_QUEUE)
            return
        self._queues.accepted(one.routing_key, self._loop.time())
        self._sent.confirmed(event)
        is_late = event.answered.done()
        recorded = partial(self._sent.recorded, event.answered)
        self._record.confirmed(event.arrival, is_late, recorded)

    def _alarm_changed(self) -> None:
        connection = self._connection
        had, self._alarm = self._alarm, connection.alarm if connection is not None else ""
        if self._alarm and not had:
            log.error("publish.blocked", detail=of_alarm(self._alarm))
            self._sent.blocked()
        elif had and not self._alarm:
            log.info("publish.unblocked")
            self._sent.unblocked(self._loop.time())

    def _lost(self, connection: PublishingConnection) -> None:
        if connection is self._connection:
            self._break(connection.why_lost)

    def _break(self, reason: str) -> None:
        self._away = reason
        self._is_broken.set()

    def _let_go(self) -> None:
        """Of the connection, and of what it did not confirm."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._renewing is not None:
            self._renewing.cancel()
        if self._retired is not None:
            self._retired.let_go(self._connections.close_soon)
            self._retired = None
        connection.channel.answered = lambda one, problem: None
        connection.alarm_changed = _nothing
        self._alarm = ""
        self._queues.forget()
        self._sent.lost(self._sent.unconfirmed)
        self._connections.close_soon(connection)


def _nothing() -> None:
    pass

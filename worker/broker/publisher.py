"""Publishes each message until the broker has confirmed it, across connections that stall or end.

Of a message there is one copy on a connection: what the broker has not confirmed lies somewhere in
it, and a second copy would only lie behind that. Only when confirms stay away for long, or the
connection ends, is another one opened, and each message that is not confirmed goes once on it. A
duplicate is harmless, a loss is not. A message for which the broker ends connections does not keep
back the others (`publish_portions`, `size_bound`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from worker.broker.declare_refusals import TopologyConflict
from worker.broker.publish_portions import Portions
from worker.broker.publishing_connection import Connections, PublishingConnection, of_alarm
from worker.broker.republished import fitted_header
from worker.broker.sent_message import LONGEST_PAUSE_SECONDS, Sent, next_pause
from worker.broker.size_bound import SizeBound
from worker.broker.unconfirmed_log import UnconfirmedLog
from worker.wire.confirms import REFUSED, Outgoing
from worker.wire.connecting import is_connection_error, why_unreachable

log = structlog.get_logger(__name__)

LONGEST_PATIENCE_SECONDS: Final = 600.0
REFUSED_SECONDS: Final = 10.0
"""A bound may have gone meanwhile: RabbitMQ 3.10 goes on refusing on the channel that it refused on
while the bound was there, and takes the same on a new one."""
_LOOK_SECONDS: Final = 1.0


class Publisher:
    """Keeps a connection up that `new_connection` makes, and publishes on it.

    What the broker refuses or returns is tried again; after `refused_seconds` of refusals (then
    twice as long, up to ten minutes, until it is taken) on another connection. Without any confirm
    for `patience_seconds` (doubled likewise) the connection counts as stalled. While the broker has
    an alarm nothing is written and nothing counts as late, however long that lasts. `fail` is
    called with a reason for what another connection can't heal.
    """

    def __init__(
        self,
        new_connection: Callable[[], PublishingConnection],
        patience_seconds: float,
        fail: Callable[[str], None],
        refused_seconds: float = REFUSED_SECONDS,
    ) -> None:
        self._connections = Connections(new_connection)
        self._first_patience = self._patience = patience_seconds
        self._first_refused = self._refused_seconds = refused_seconds
        self._fail = fail
        self._connection: PublishingConnection | None = None
        self._lost_for = "not opened yet"
        self._opened_at = self._pause = 0.0
        self._bound = SizeBound()
        self._portions = Portions()
        self._unconfirmed = UnconfirmedLog()
        self._alarm = ""
        self._pending: dict[Outgoing, Sent] = {}
        self._loop = asyncio.get_running_loop()
        self._watching: asyncio.TimerHandle | None = None
        self._reopening: asyncio.Task[None] | None = None
        self._is_closed = False

    async def start(self) -> None:
        """Open the first publishing connection. Raises what the broker answers, or TimeoutError."""
        self._use(await self._connections.opened(self._lost))

    async def close(self) -> None:
        """Let go of messages that are not confirmed, and of the publishing connection."""
        self._is_closed = True
        self._pending.clear()
        for waiting in (self._watching, self._reopening):
            if waiting is not None:
                waiting.cancel()
        if self._connection is not None:
            self._connections.close_soon(self._connection)
        await self._connections.all_closed()

    def publish(self, one: Outgoing) -> None:
        """Send message `one`; what `then` is for never happens if the publisher is closed first."""
        if not self._is_closed and not self._bound.give_back(one, self._loop.time()):
            self._pending[one] = Sent()
            self._send(one)

    @property
    def trouble(self) -> str:
        """What is wrong with publishing now, if anything."""
        if self._connection is None:
            return f"the publishing connection is opened anew: {self._lost_for}"
        if self._alarm:
            return of_alarm(self._alarm)
        for one, sent in self._pending.items():
            problem = sent.problem or self._portions.problem_of(one)
            if problem:
                return f"publishing to {one.exchange or 'a queue'}: {problem}"
        return ""

    # A message

    def _send(self, one: Outgoing) -> None:
        """Write it, unless it is on this connection already, or nothing can be written now."""
        sent, connection = self._pending.get(one), self._connection
        if sent is None or connection is None or sent.connection is connection or self._alarm:
            return
        channel, now = connection.channel, self._loop.time()
        if channel.is_closed or now < sent.not_before:  # the former is told of in a moment
            return
        if not self._portions.admits(one, len(channel.unconfirmed), now):
            return
        if len(one.header) > channel.most_header_bytes:
            one.header = fitted_header(one.properties, len(one.body), channel.most_header_bytes)
        sent.connection = connection
        sent.give_up_at = now + self._patience
        channel.send(one)
        if self._watching is None:
            self._look_later()

    def _answered(self, one: Outgoing, problem: str) -> None:
        sent = self._pending.get(one)
        if sent is None:
            return
        self._patience = self._first_patience
        was_bounded = self._portions.is_bounded
        self._portions.answered(one)
        if not problem:
            self._pause = 0.0
            if sent.refused_at is not None:
                self._refused_seconds = self._first_refused
            del self._pending[one]
            one.then()
        else:
            now = self._loop.time()
            self._unconfirmed.tell(one, problem, len(self._pending), now)
            self._loop.call_later(sent.pause, self._send, one)
            sent.not_taken(problem, now)
            since = sent.refused_at if problem == REFUSED and sent.refused_at is not None else now
            if now - max(since, self._opened_at) >= self._refused_seconds:
                self._refused_seconds = min(2 * self._refused_seconds, LONGEST_PATIENCE_SECONDS)
                self._replace("the broker refuses what it may take on another one")
        if was_bounded:
            self._send_all()

    # A connection

    def _use(self, connection: PublishingConnection) -> None:
        connection.channel.answered = self._answered
        connection.alarm_changed = self._alarm_changed
        self._connection = connection
        self._opened_at = self._loop.time()
        self._portions.reopened()
        for sent in self._pending.values():
            sent.not_before = 0.0
        self._alarm_changed()
        if connection.channel.is_closed:
            self._lost(connection)  # before anybody listened
        else:
            self._send_all()

    def _send_all(self) -> None:
        for one in list(self._pending):
            self._send(one)

    def _lost(self, connection: PublishingConnection) -> None:
        if connection is not self._connection:
            return
        now = self._loop.time()
        self._bound.learn(connection.size_refusal, now)
        large = [one for one in self._pending if self._bound.give_back(one, now)]
        for one in large:
            del self._pending[one]
            self._portions.forget(one)
        if not large:
            unconfirmed = connection.channel.unconfirmed.values()
            self._portions.lost(list(unconfirmed), connection.why_lost, now)
        self._replace(connection.why_lost)

    def _replace(self, reason: str) -> None:
        """Let go of the connection, and open another one."""
        connection, self._connection = self._connection, None
        if connection is None or self._is_closed:
            return
        connection.channel.answered = lambda one, problem: None
        connection.alarm_changed = lambda: None
        self._lost_for = reason
        self._alarm = ""  # the next one hears of it by itself
        if self._loop.time() - self._opened_at > LONGEST_PAUSE_SECONDS:
            self._pause = 0.0
        log.warning("publish.reopening", reason=reason, pending=len(self._pending))
        self._connections.close_soon(connection)
        self._reopening = asyncio.create_task(self._reopen())

    async def _reopen(self) -> None:
        """Open another connection: at once, or after growing pauses while none confirms any."""
        while True:
            await asyncio.sleep(self._pause)
            self._pause = next_pause(self._pause)
            try:
                connection = await self._connections.opened(self._lost)
            except TopologyConflict as conflict:
                self._fail(str(conflict))  # the next session ends with it
                return
            except Exception as error:
                if not is_connection_error(error):
                    self._fail(f"publishing can't go on: {error}")
                    return
                self._lost_for = why_unreachable(error)
                continue
            log.info("publish.reopened", pending=len(self._pending))
            self._use(connection)
            return

    def _alarm_changed(self) -> None:
        alarm = self._connection.alarm if self._connection is not None else ""
        had, self._alarm = self._alarm, alarm
        if alarm and not had:
            log.error("publish.blocked", detail=of_alarm(alarm))
        elif had and not alarm:
            log.info("publish.unblocked")
            # What lay in the connection is taken in only now.
            later = self._loop.time() + self._patience
            for sent in self._pending.values():
                sent.give_up_at = later
            self._send_all()

    def _look_later(self) -> None:
        self._watching = self._loop.call_later(min(self._patience, _LOOK_SECONDS), self._watch)

    def _watch(self) -> None:
        """Look for what has waited too long, as long as anything waits."""
        self._watching = None
        if not self._pending:
            return
        self._look_later()
        if self._connection is None or self._alarm:
            return
        now = self._loop.time()
        for sent in self._pending.values():
            if sent.connection is self._connection and sent.give_up_at <= now:
                self._replace(f"no confirm in {self._patience:g} s")
                self._patience = min(2 * self._patience, LONGEST_PATIENCE_SECONDS)
                return
        if self._portions.has_set_aside or self._portions.is_bounded:
            self._send_all()  # one that was set aside may be due

"""The connection that writes to the stream of the receipts: one message at a time, in order.

What is not confirmed when the connection is lost is written again on the next one, with the same
bytes. With one at a time that is the last message alone, and nothing can overtake it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from worker.broker.publishing_connection import Connections, PublishingConnection, of_alarm
from worker.broker.receipts_stream import StreamUnusable
from worker.evidence.heading import CONTENT_TYPE
from worker.wire.confirms import Outgoing
from worker.wire.connecting import is_connection_error, why_unreachable
from worker.wire.property_reader import PERSISTENT, Properties

log = structlog.get_logger(__name__)

PROBE_SECONDS: Final = 1.0
"""Between two tries to open a connection."""
_UNUSABLE_SECONDS: Final = 30.0
"""The same where a person must mend the stream."""
_PATIENCE_SECONDS: Final = 10.0
"""Without a confirm for so long, and without an alarm, the connection counts as stalled."""
_LOOK_SECONDS: Final = 1.0


class StreamConnection:
    """Writes to the stream; calls `confirmed` when its message is, and `opened` when there is a
    connection and no message. `trouble` says why nothing can be written now, "" otherwise.
    """

    def __init__(
        self,
        new_connection: Callable[[], PublishingConnection],
        queue: str,
        confirmed: Callable[[], None],
        opened: Callable[[], None],
    ) -> None:
        self._connections = Connections(new_connection)
        self._queue = queue
        self._confirmed = confirmed
        self._opened = opened
        self._connection: PublishingConnection | None = None
        self._body: bytes | None = None
        self._written_at = 0.0
        self._is_broken = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._keeping: asyncio.Task[None] | None = None
        self._trouble = "not connected yet"

    @property
    def is_busy(self) -> bool:
        """Whether a message to the stream is not confirmed."""
        return self._body is not None

    @property
    def trouble(self) -> str:
        """Why nothing can be written to the stream now; "" otherwise."""
        alarm = self._connection.alarm if self._connection is not None else ""
        return of_alarm(alarm) if alarm else self._trouble

    def start(self) -> None:
        """Keep a connection to the stream up from now on."""
        self._keeping = asyncio.create_task(self._keep())

    def send(self, body: bytes) -> None:
        """Write a message to the stream until it is confirmed; there must be no other."""
        self._body = body
        self._write()

    async def close(self) -> None:
        """Let go of the message and of the connection to the stream."""
        self._body = None
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})
        self._let_go()
        await self._connections.all_closed()

    def _write(self) -> None:
        connection = self._connection
        if self._body is None or connection is None or connection.channel.is_closed:
            return
        properties = Properties(content_type=CONTENT_TYPE, delivery_mode=PERSISTENT)
        self._written_at = self._loop.time()
        connection.channel.send(
            Outgoing("", self._queue, properties, self._body, True, lambda: None)
        )

    def _answered(self, _: Outgoing, problem: str) -> None:
        if problem:
            # A stream that was deleted is declared again on the next connection.
            self._break(f"the broker answers that the message is {problem}")
        elif self._body is not None:
            self._body = None
            self._trouble = ""
            self._confirmed()

    def _lost(self, connection: PublishingConnection) -> None:
        if connection is self._connection:
            self._break(connection.why_lost)

    def _break(self, trouble: str) -> None:
        self._trouble = trouble
        self._is_broken.set()

    async def _keep(self) -> None:
        while True:
            began = self._loop.time()
            pause = PROBE_SECONDS
            try:
                await self._serve(await self._connections.opened(self._lost))
            except StreamUnusable as problem:
                self._trouble = str(problem)
                pause = _UNUSABLE_SECONDS
            except Exception as error:
                if not is_connection_error(error):
                    log.exception("receipts.unexpected_error", error=type(error).__name__)
                self._trouble = why_unreachable(error)
            finally:
                self._let_go()
            await asyncio.sleep(max(0.0, began + pause - self._loop.time()))

    async def _serve(self, connection: PublishingConnection) -> None:
        """Use a connection until it is broken."""
        self._is_broken.clear()
        self._connection = connection
        connection.channel.answered = self._answered
        if connection.channel.is_closed:
            self._break(connection.why_lost)  # before anybody listened
        if self._body is None:
            self._trouble = ""
            self._opened()
        else:
            self._write()
        while not self._is_broken.is_set():
            await asyncio.wait(
                {waiting := asyncio.ensure_future(self._is_broken.wait())}, timeout=_LOOK_SECONDS
            )
            waiting.cancel()
            waited = self._loop.time() - self._written_at
            if self.is_busy and waited >= _PATIENCE_SECONDS and not connection.alarm:
                self._break(f"no confirm in {_PATIENCE_SECONDS:g} s")

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.channel.answered = lambda one, problem: None
            self._connections.close_soon(connection)

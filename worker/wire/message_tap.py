"""Reads messages straight from the bytes of a connection; everything else goes to aiormq unchanged.

aiormq reads each of a message's three frames in some ten steps of two tasks, which costs more than
all the rest that the worker does with an event (docs/benchmarks.md). It asks a transport factory
for its connection, and that is where the tap sits. The protocol stays aiormq's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from aiormq.connection import SSLContextProvider, TransportFactory
from aiormq.exceptions import AMQPConnectionError
from yarl import URL

from worker.wire.frame_listeners import OnAlarm
from worker.wire.frame_splitter import FrameSplitter
from worker.wire.frames import END, HEARTBEAT, PREFIX

_HEARTBEAT_FRAME: Final = PREFIX.pack(HEARTBEAT, 0, 0) + bytes((END,))
_HEARTBEAT_SECONDS: Final = 1.0
_PORTION_FRAMES: Final = 192
"""A message has three, so 64 messages are handled before anything else has its turn."""
_PORTION_SECONDS: Final = 0.02
_PART_FRAMES: Final = 24
"""Fewer, where they take longer than that: eight messages are handled between two looks at it."""


class MessageTap(asyncio.StreamReaderProtocol):
    """Taps a connection: feeds aiormq's reader with what the splitter passes on.

    A connection may bring all of a prefetch at once. It is handled in portions, and whatever else
    the worker has to do comes between them.
    """

    def __init__(self, reader: asyncio.StreamReader, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(reader, loop=loop)
        self.lost = asyncio.Event()
        self.splitter = FrameSplitter(super().data_received)
        self._own_loop = loop
        self._is_splitting = False
        self._alive_at = 0.0

    def data_received(self, data: bytes) -> None:
        self.splitter.feed(data)
        if not self._is_splitting:
            self._split()

    def eof_received(self) -> bool | None:
        while self.splitter.split(_PORTION_FRAMES):
            pass
        self.splitter.end()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        # The broker has these messages again, and aiormq takes nothing any more.
        self.splitter.drop()
        self.lost.set()
        super().connection_lost(exc)

    def _split(self) -> None:
        ends_at = self._own_loop.time() + _PORTION_SECONDS
        found, self._is_splitting = 0, True
        while self._is_splitting and found < _PORTION_FRAMES and self._own_loop.time() < ends_at:
            part = self.splitter.split(_PART_FRAMES)
            self._is_splitting = part >= _PART_FRAMES
            found += part
        if self._is_splitting:
            self._own_loop.call_soon(self._split)
        if found:
            # All that the broker sends shows that it lives (RabbitMQ documentation, "Detecting Dead
            # TCP Connections with Heartbeats"), and aiormq no longer sees this.
            now = self._own_loop.time()
            if now - self._alive_at >= _HEARTBEAT_SECONDS:
                self._alive_at = now
                super().data_received(_HEARTBEAT_FRAME)


class TappedTransport(TransportFactory):
    """Opens one connection, `amqp` or `amqps`, and taps it: `splitter` is where to listen, `lost`
    is set when the connection is gone, and `on_alarm` is told of the broker's alarms.

    Raises `AMQPConnectionError` when it can't be opened.
    """

    splitter: FrameSplitter
    lost: asyncio.Event

    def __init__(self, on_alarm: OnAlarm | None = None) -> None:
        self._on_alarm = on_alarm
        self._transport: asyncio.Transport | None = None

    def abort(self) -> None:
        """Cut the connection, if there is one: nothing that is still in it is sent."""
        if self._transport is not None:
            self._transport.abort()

    async def while_connected(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do `work`, which aiormq may leave waiting for ever when its connection is lost: then it
        is cancelled. Raises `ConnectionResetError`.
        """
        task = asyncio.create_task(work)
        lost = asyncio.create_task(self.lost.wait())
        try:
            await asyncio.wait((task, lost), return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost.cancel()
        if not task.done():
            task.cancel()
            raise ConnectionResetError
        await task

    async def create(
        self, url: URL, **options: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open the connection, tapped; see aiormq's `TransportFactory`."""
        provider: SSLContextProvider = options.pop("ssl_context_provider")
        options |= {"host": url.host, "port": url.port}
        if url.scheme == "amqps":
            options["ssl"] = await provider.get_context()
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        tap = MessageTap(reader, loop)
        self.splitter = tap.splitter
        self.lost = tap.lost
        if self._on_alarm is not None:
            self.splitter.listen_for_alarms(self._on_alarm)
        try:
            transport, _ = await loop.create_connection(lambda: tap, **options)
        except OSError as error:
            raise AMQPConnectionError(*error.args) from error
        self._transport = transport
        return reader, asyncio.StreamWriter(transport, tap, reader, loop)

"""Messages are taken off the line before aiormq reads them.

aiormq reads each of a message's three frames in some ten steps of two tasks, which costs more than
all the rest that the worker does with an event (docs/benchmarks.md). It asks a transport factory
for the line, though, and that is where this sits: what belongs to a message goes to the consumer of
its channel, everything else goes to aiormq, which speaks the protocol.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any, Final

import structlog
from aiormq.connection import SSLContextProvider, TransportFactory
from aiormq.exceptions import AMQPConnectionError
from yarl import URL

log = structlog.get_logger(__name__)

Take = Callable[[int, bytes, bytes], None]
"""Is given the delivery tag, the content header (from its class id on) and the body of a message;
must not block.
"""
Refuse = Callable[[int, int], None]
"""Is given the delivery tag of a message that can't be taken, and the bytes of its body."""
HearAlarm = Callable[[str], None]
"""Is given why the broker takes no more messages on this connection, or "" when it does again."""

# AMQP 0-9-1 specification, section 4.2: a frame is type, channel, size, payload and an end octet.
_PREFIX: Final = struct.Struct(">BHI")
_AROUND_BYTES: Final = _PREFIX.size + 1
_END: Final = 0xCE
_METHOD, _HEADER, _BODY, _HEARTBEAT = 1, 2, 3, 8
_TYPES: Final = frozenset((_METHOD, _HEADER, _BODY, _HEARTBEAT))
_DELIVER: Final = bytes((0, 60, 0, 60))
_BLOCKED: Final = bytes((0, 10, 0, 60))
_UNBLOCKED: Final = bytes((0, 10, 0, 61))
"""Class and method of RabbitMQ's extension "Blocked Connection Notifications"."""
_LEAST_HEADER_BYTES: Final = 14
"""Class, weight, body size and flags (section 4.2.6.1)."""
_ANY_BYTES: Final = 1 << 64
_LONG_LONG: Final = struct.Struct(">Q")
_HEARTBEAT_FRAME: Final = _PREFIX.pack(_HEARTBEAT, 0, 0) + bytes((_END,))
_HEARTBEAT_SECONDS: Final = 1.0
_PORTION: Final = 192
"""Frames, of which a message has three."""


class _Listener:
    """What has come of a channel's next message; `tag` is 0 between two."""

    __slots__ = (
        "header",
        "hear",
        "missing",
        "most_bytes",
        "parts",
        "refuse",
        "size",
        "tag",
        "take",
    )

    def __init__(
        self, take: Take, refuse: Refuse, hear: Callable[[], None], most_bytes: int
    ) -> None:
        self.take = take
        self.refuse = refuse
        self.hear = hear
        self.most_bytes = most_bytes
        self.tag = 0
        self.header = b""
        self.parts: list[bytes] = []
        self.missing = self.size = 0

    def belongs(self, kind: int, payload: bytes) -> bool:
        """Whether that frame is part of a message; hands the message over when it is complete."""
        if kind == _METHOD:
            if payload[:4] != _DELIVER:
                return False
            try:  # a consumer tag of so many bytes, then the delivery tag; nobody needs the rest
                self.tag = _LONG_LONG.unpack_from(payload, 5 + payload[4])[0]
            except (IndexError, struct.error):
                return False  # no message of AMQP: aiormq says what is wrong with it
            return True
        if not self.tag:
            return False
        if kind == _BODY:
            self.missing -= len(payload)
            if self.missing > 0 or self.parts:
                self._gather(payload)
            else:
                self._complete(payload)  # as most messages, it has one such frame
            return True
        return kind == _HEADER and self._has_header(payload)

    def _has_header(self, payload: bytes) -> bool:
        if len(payload) < _LEAST_HEADER_BYTES:
            self.tag = 0
            return False
        self.header = payload
        self.missing = self.size = _LONG_LONG.unpack_from(payload, 4)[0]
        if self.parts:
            self.parts = []  # of a message that was never complete
        if self.missing == 0:
            self._complete(b"")
        return True

    def _gather(self, payload: bytes) -> None:
        """One of several parts."""
        if self.size <= self.most_bytes:
            self.parts.append(payload)
        if self.missing > 0:
            self.hear()
        else:
            parts, self.parts = self.parts, []
            self._complete(b"".join(parts))

    def _complete(self, body: bytes) -> None:
        tag, self.tag = self.tag, 0
        try:
            if self.size > self.most_bytes:
                self.refuse(tag, self.size)
            else:
                self.take(tag, self.header, body)
        except Exception as error:  # whatever it is, it concerns this message alone
            log.exception("message.not_handled", error=type(error).__name__)
            self.refuse(tag, self.size)


class _Alarms:
    """Hears on channel 0 that the broker takes no messages; aiormq only logs its reason."""

    def __init__(self, hear: HearAlarm) -> None:
        self._hear = hear

    def belongs(self, kind: int, payload: bytes) -> bool:
        """False: aiormq is to see all frames of this channel."""
        if kind == _METHOD:
            if payload[:4] == _BLOCKED:
                text = payload[5 : 5 + payload[4]] if len(payload) > 4 else b""
                self._hear(text.decode(errors="replace") or "no reason given")
            elif payload[:4] == _UNBLOCKED:
                self._hear("")
        return False


def _ignore(*_: object) -> None:
    """For who does not want to be told."""


class Sieve:
    """Sorts what comes by a line: messages of the channels that are listened to, and all else,
    which `pass_on` gets unchanged and in order.

    What is no AMQP is passed on as it comes; aiormq says what is wrong with it.
    """

    def __init__(self, pass_on: Callable[[bytes], None]) -> None:
        self._pass_on = pass_on
        self._listeners: dict[int, _Listener | _Alarms] = {}
        self._data = b""
        self._at = 0
        self._later: list[bytes] = []
        self._later_bytes = 0
        self._is_amqp = True

    def listen(
        self,
        channel: int,
        take: Take,
        refuse: Refuse = _ignore,
        hear: Callable[[], None] = _ignore,
        most_bytes: int = _ANY_BYTES,
    ) -> None:
        """From now on `take` gets the messages of `channel`.

        One whose body has more than `most_bytes` is not gathered: it goes to `refuse` when it has
        passed, as does one that `take` raises for. `hear` is called while a long one comes.
        """
        self._listeners[channel] = _Listener(take, refuse, hear, most_bytes)

    def listen_for_alarms(self, hear: HearAlarm) -> None:
        """From now on `hear` is told when the broker takes no messages, and when it does again."""
        self._listeners[0] = _Alarms(hear)

    def forget(self, channel: int) -> None:
        """Its number may be used again, for what nobody listens to."""
        self._listeners.pop(channel, None)

    def feed(self, data: bytes) -> None:
        """Bytes have come, to be sorted after those before them."""
        self._later.append(data)
        self._later_bytes += len(data)

    def sort(self, most: int) -> int:
        """Sort `most` frames of messages, or what there is, and all else among them; how many
        there were.
        """
        data, at, found = self._data, self._at, 0
        while found < most and self._is_amqp:
            if len(data) - at >= _AROUND_BYTES:
                kind, channel, length = _PREFIX.unpack_from(data, at)
                end = at + length + _AROUND_BYTES
                is_whole = end <= len(data)
                if kind not in _TYPES or (is_whole and data[end - 1] != _END):
                    self._is_amqp = False
                    break
                if is_whole:
                    listener = self._listeners.get(channel)
                    if listener is not None and listener.belongs(kind, data[at + 7 : end - 1]):
                        found += 1
                    else:
                        self._pass_on(data[at:end])
                    at = end
                    continue
                lacking = end - len(data)
            else:
                lacking = 1
            if self._later_bytes < lacking:
                break  # joined once, when a frame is whole, not whenever a bit of it comes
            data, at = b"".join((data[at:], *self._later)), 0
            self._later.clear()
            self._later_bytes = 0
        self._data, self._at = data, at
        if not self._is_amqp:
            self.end()
        return found

    def end(self) -> None:
        """Pass on what is left: no more comes that would complete it."""
        if rest := self._data[self._at :] + b"".join(self._later):
            self._pass_on(rest)
        self.drop()

    def drop(self) -> None:
        """Forget what is left."""
        self._data, self._at = b"", 0
        self._later.clear()
        self._later_bytes = 0


class Line(asyncio.StreamReaderProtocol):
    """Feeds aiormq's reader with what the sieve leaves.

    A line may bring all of a prefetch at once. It is handled in portions, and whatever else the
    worker has to do comes between them.
    """

    def __init__(self, reader: asyncio.StreamReader, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(reader, loop=loop)
        self.sieve = Sieve(super().data_received)
        self._own_loop = loop
        self._is_sorting = False
        self._alive_at = 0.0

    def data_received(self, data: bytes) -> None:
        self.sieve.feed(data)
        if not self._is_sorting:
            self._sort()

    def eof_received(self) -> bool | None:
        while self.sieve.sort(_PORTION):
            pass
        self.sieve.end()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.sieve.drop()  # the broker has these messages again, and aiormq takes nothing any more
        super().connection_lost(exc)

    def _sort(self) -> None:
        found = self.sieve.sort(_PORTION)
        self._is_sorting = found == _PORTION
        if self._is_sorting:
            self._own_loop.call_soon(self._sort)
        if found:
            # All that the broker sends shows that it lives (RabbitMQ documentation, "Detecting Dead
            # TCP Connections with Heartbeats"), and aiormq no longer sees this.
            now = self._own_loop.time()
            if now - self._alive_at >= _HEARTBEAT_SECONDS:
                self._alive_at = now
                super().data_received(_HEARTBEAT_FRAME)


class Deliveries(TransportFactory):
    """Opens one line, `amqp` or `amqps`, whose messages go to who listens, and `hear_alarm` is told
    of the broker's alarms.

    Raises `AMQPConnectionError` when the line can't be opened.
    """

    sieve: Sieve

    def __init__(self, hear_alarm: HearAlarm | None = None) -> None:
        self._hear_alarm = hear_alarm
        self._transport: asyncio.Transport | None = None

    def abort(self) -> None:
        """Cut the line, if there is one: nothing that is still in it is sent."""
        if self._transport is not None:
            self._transport.abort()

    async def create(
        self, url: URL, **options: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """See aiormq's `TransportFactory`."""
        provider: SSLContextProvider = options.pop("ssl_context_provider")
        options |= {"host": url.host, "port": url.port}
        if url.scheme == "amqps":
            options["ssl"] = await provider.get_context()
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        line = Line(reader, loop)
        self.sieve = line.sieve
        if self._hear_alarm is not None:
            self.sieve.listen_for_alarms(self._hear_alarm)
        try:
            transport, _ = await loop.create_connection(lambda: line, **options)
        except OSError as error:
            raise AMQPConnectionError(*error.args) from error
        self._transport = transport
        return reader, asyncio.StreamWriter(transport, line, reader, loop)

"""Bounds of what a line may bring for one request, whatever it is made of.

What aiohttp hands out is bounded where it is read, but the parser has seen it all by then: interim
replies without end, pieces of one byte, empty lines, extensions. A piece of the line is parsed at
one go, during which no other customer is served, and interim replies are passed over without a
pause. So bytes and lines are counted before the parser gets them.

What a line brings while nobody has asked on it is no reply of anybody's. aiohttp would keep it, and
hand it to the next request as the reply to that, before the request is even written: so it ends the
line.

A malformed body ends its line and the reading of it. aiohttp 3.14 tells its own protocol of it, and
not who reads: the read would last for the whole time of the request.
"""

from __future__ import annotations

import asyncio
import select
from typing import Any, Final, NamedTuple

import aiohttp
from aiohttp.connector import Connection

HEAD_BYTES: Final = 65_536
"""For the head of a reply, interim replies, and what frames the body."""
PIECE_BYTES: Final = 262_144
"""What the event loop reads at once."""
LINES: Final = 10_000
BYTES_A_LINE: Final = 40
"""Line feeds: those of heads and of a body in large chunks, and one for so many bytes of a body."""


class Bounds(NamedTuple):
    """The bounds of one reply: bytes of the line, and line feeds in them."""

    most_bytes: int
    most_lines: int


class ReplyTooLong(aiohttp.ClientPayloadError):
    """The other side has said more than any reply of Adobe's has."""


def bounds_of(body_bytes: int) -> Bounds:
    """The bounds of the reply to a request that wants a body of at most `body_bytes`."""
    # Twice, and a piece of the line: of a longer body more comes before it is known that no more
    # is wanted.
    most = HEAD_BYTES + PIECE_BYTES + 2 * body_bytes
    return Bounds(most, LINES + most // BYTES_A_LINE)


def guard(connection: Connection, bounds: Bounds) -> bool:
    """From now on a line brings nothing before `begin_asking`, and then no more than the reply may
    have to the request that is about to be written. Returns whether the line has had a request
    before.
    """
    transport = connection.transport
    if transport is None:
        return False
    line = transport.get_protocol()
    was_used = isinstance(line, _Guard)
    if not isinstance(line, _Guard):
        line = _Guard(line, transport)
        transport.set_protocol(line)
    line.bytes_left, line.lines_left = bounds
    line.body = None
    line.was_used = was_used
    connection.add_callback(line.end_asking)
    return was_used


def begin_asking(connection: Connection) -> bool:
    """What the line brings from now on is the reply to the request that is written right after.
    False if the line has ended, or brought anything before that: nothing may be written then.
    """
    transport = connection.transport
    line = transport.get_protocol() if transport is not None else None
    return isinstance(line, _Guard) and line.begin_asking()


def line_of_rest(response: aiohttp.ClientResponse) -> _Guard | None:
    """The line that brings the rest of a reply's body, and from now on ends the reading of it where
    that is malformed; None if there is no rest, or no line any more.
    """
    body, connection = response.content, response.connection
    if body.is_eof() or connection is None or connection.protocol is None:
        return None
    if connection.transport is None or connection.protocol.exception() is not None:
        _fail(body)  # lost, or malformed, after the head was read
        return None
    line = connection.transport.get_protocol()
    if not isinstance(line, _Guard):
        return None
    line.body = body
    return line


def _fail(body: aiohttp.StreamReader) -> None:
    if not body.is_eof() and body.exception() is None:
        body.set_exception(aiohttp.ClientPayloadError())


def _has_unread(transport: asyncio.Transport) -> bool:
    """Whether the system holds bytes, or the end, of a line that the event loop has not read yet:
    it reads no more than once a turn, and other customers' work may make a turn long.
    """
    waiting = select.poll()
    waiting.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(waiting.poll(0))


class _Guard(asyncio.Protocol):
    """Between a line and aiohttp's protocol, to which it hands on what comes of a reply."""

    def __init__(self, inner: Any, transport: asyncio.Transport) -> None:
        self._inner = inner
        self._transport = transport
        self.bytes_left = self.lines_left = 0
        self.body: aiohttp.StreamReader | None = None
        self.was_used = False
        self._is_asked = False

    def begin_asking(self) -> bool:
        """See the function. A new line is not looked at: TLS may have sent tickets on it."""
        if self._transport.is_closing():
            return False
        if self.was_used and not self._is_asked and _has_unread(self._transport):
            self._transport.abort()
            return False
        self._is_asked = True
        return True

    def end_asking(self) -> None:
        """The reply is read, or given up."""
        self._is_asked = False

    def data_received(self, data: bytes) -> None:
        if not self._is_asked:
            self._transport.abort()
            return
        self.bytes_left -= len(data)
        self.lines_left -= data.count(b"\n")
        if self.bytes_left < 0 or self.lines_left < 0:
            self._inner.set_exception(ReplyTooLong())
            self._transport.abort()
        else:
            self._inner.data_received(data)
            self.end_if_malformed()

    def end_if_malformed(self) -> None:
        """End the line, and the reading, if the parser has given up. aiohttp closes the line: with
        TLS that lasts until the other side says farewell.
        """
        if self._inner.exception() is not None:
            self._transport.abort()  # does nothing where it was closed twice
            if self.body is not None:
                _fail(self.body)

    def eof_received(self) -> bool | None:
        ends: bool | None = self._inner.eof_received()
        return ends

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

"""Bounds of what a line may bring for one request, whatever it is made of.

What aiohttp hands out is bounded where it is read, but the parser has seen it all by then: interim
replies without end, pieces of one byte, empty lines, extensions. A piece of the line is parsed at
one go, during which no other customer is served, and interim replies are passed over without a
pause. So bytes and lines are counted before the parser gets them.

A malformed body ends its line and the reading of it. aiohttp 3.14 tells its own protocol of it, and
not who reads: the read would last for the whole time of the request.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple

import aiohttp

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


def guard(transport: asyncio.Transport, bounds: Bounds) -> bool:
    """From now on a line brings no more than the reply may have to the request that is about to be
    written. Returns whether the line has had a request before.
    """
    line = transport.get_protocol()
    was_used = isinstance(line, _Guard)
    if not isinstance(line, _Guard):
        line = _Guard(line, transport)
        transport.set_protocol(line)
    line.bytes_left, line.lines_left = bounds
    line.body = None
    return was_used


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


class _Guard(asyncio.Protocol):
    """Between a line and aiohttp's protocol, to which it hands everything on."""

    def __init__(self, inner: Any, transport: asyncio.Transport) -> None:
        self._inner = inner
        self._transport = transport
        self.bytes_left = self.lines_left = 0
        self.body: aiohttp.StreamReader | None = None

    def data_received(self, data: bytes) -> None:
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

"""The connections of a server: how many there are, how long a request may take to begin, and what
one may send before it is answered.

They stay open between requests, as proxies like it. Who makes too many displaces connections of the
same address that have no request under way, or one of which nobody knows yet who asks.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, cast

from aiohttp import StreamReader

from worker.serving.address_holders import holder_of

MOST_LINES: Final = 1_000
SWEEP_SECONDS: Final = 0.5
ROOM_BYTES: Final = 512 * 1024
"""Beside a body: for headers, for what is read in one go, and for a next request that is sent
before this one is answered."""


class Line(asyncio.Protocol):
    """One connection; what comes goes to the HTTP server's own protocol."""

    def __init__(self, inner: asyncio.Protocol, lines: Lines) -> None:
        self.inner = inner
        self._lines = lines
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._bytes = 0
        self._is_lingering = False
        self.receiving_since: float | None = None
        """When the first byte came of a request that is not handled yet."""
        self.is_handling = False
        self.is_half_closed = False
        """Whether the client sends no more, and may wait for its answer."""
        self._is_unproven = False
        self._content: StreamReader | None = None

    @property
    def is_displaceable(self) -> bool:
        """Whether a connection may be closed for another: nobody with credentials waits for it."""
        return self._is_unproven or not self.is_handling

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not of its classes
        peer = transport.get_extra_info("peername")
        self.inner.connection_made(transport)
        self._lines.opened(self, str(peer[0]) if peer else "")

    def data_received(self, data: bytes) -> None:
        if self._is_lingering and self._content is not None and self._content.is_eof():
            self._is_lingering, self._bytes = False, 0  # this is the next request
        if self.receiving_since is None and not (self.is_handling or self._is_lingering):
            self.receiving_since = self._loop.time()
        self._bytes += len(data)
        if self._bytes > self._lines.most_bytes and not self._is_lingering:
            self.abort()
        else:
            self.inner.data_received(data)

    def begin(self, content: StreamReader) -> float:
        """A request is handled from now on, whose body is `content`; when its first byte came."""
        began, self.receiving_since = self.receiving_since, None
        if self._is_lingering:
            self._bytes = 0  # what came was the body before
        self.is_handling, self._is_lingering = True, False
        self._content = content
        self._end_content()
        return self._loop.time() if began is None else began

    def end(self, is_whole: bool) -> None:
        """The request is answered; where its body is not whole, the rest is read for a moment and
        dropped, so that the answer is not lost with the connection.
        """
        self.is_handling, self._is_lingering = False, not is_whole
        if self.is_half_closed and self._content is not None:
            self._content.feed_eof()  # there is no rest to be read
        if is_whole:
            self._content = None
        self._bytes = 0

    @contextmanager
    def reading_unproven(self) -> Iterator[None]:
        """Of the request that is handled something is read before its credentials are known."""
        self._is_unproven = True
        try:
            yield
        finally:
            self._is_unproven = False

    def give_up(self) -> None:
        """Close the connection, whose request takes too long to come."""
        if self._transport is not None:
            self._transport.write(self._lines.too_slow)
            self._transport.close()
        self.receiving_since = None

    def abort(self) -> None:
        """Close the connection at once: what was not sent yet is dropped."""
        if self._transport is not None:
            self._transport.abort()

    def eof_received(self) -> bool | None:
        """A request that has begun is answered all the same; who handles it closes afterwards."""
        self.inner.eof_received()
        self.is_half_closed = self.is_handling or self.receiving_since is not None
        self._end_content()
        return self.is_half_closed

    def _end_content(self) -> None:
        """What has not come of the body never will."""
        if self.is_half_closed and self._content is not None and not self._content.is_eof():
            self._content.set_exception(ConnectionResetError("the client sends no more"))

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._lines.closed(self)
        self.inner.connection_lost(error)


class Lines:
    """The connections of a server: a factory of protocols for `create_server`, around the `factory`
    of an HTTP server. A request may take `seconds` from its first byte to the end of its headers,
    or is answered by `too_slow`, a whole response; and it may have `most_bytes`.
    """

    def __init__(
        self,
        factory: Callable[[], asyncio.Protocol],
        seconds: float,
        most_bytes: int,
        too_slow: bytes,
        most: int = MOST_LINES,
    ) -> None:
        self._factory = factory
        self._seconds = seconds
        self._most = most
        self.most_bytes = most_bytes
        self.too_slow = too_slow
        self._open: dict[Line, str] = {}  # oldest first
        self._by_protocol: dict[asyncio.Protocol, Line] = {}
        self._loop = asyncio.get_running_loop()
        self._sweeping = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def __call__(self) -> Line:
        return Line(self._factory(), self)

    def __len__(self) -> int:
        """Connections that are open now."""
        return len(self._open)

    @property
    def under_way(self) -> int:
        """Connections with a request that is not answered."""
        return sum(one.is_handling for one in self._open)

    def of(self, protocol: asyncio.Protocol) -> Line | None:
        """The connection that is served by that protocol of the HTTP server; None once it is
        closed.
        """
        return self._by_protocol.get(protocol)

    def opened(self, line: Line, address: str) -> None:
        """Count a connection; where there are too many, close a displaceable one: the oldest of
        the address that holds the most of these.
        """
        self._open[line] = holder_of(address)
        self._by_protocol[line.inner] = line
        if len(self._open) > self._most:
            displaceable = {
                one: holder for one, holder in self._open.items() if one.is_displaceable
            }
            (greediest, _), *_ = Counter(displaceable.values()).most_common(1)
            oldest = next(one for one, holder in displaceable.items() if holder == greediest)
            self.closed(oldest)  # at once, or the next one too many would displace it again
            oldest.abort()

    def closed(self, line: Line) -> None:
        self._open.pop(line, None)
        self._by_protocol.pop(line.inner, None)

    def stop(self) -> None:
        """Look after the connections no more, and close those that have no request under way."""
        self._sweeping.cancel()
        for one in list(self._open):
            if not one.is_handling and one.receiving_since is None:
                one.abort()

    def _sweep(self) -> None:
        self._sweeping = self._loop.call_later(SWEEP_SECONDS, self._sweep)
        too_old = self._loop.time() - self._seconds
        for one in list(self._open):
            if one.receiving_since is not None and one.receiving_since <= too_old:
                one.give_up()

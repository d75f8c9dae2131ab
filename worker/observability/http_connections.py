"""Connections to the HTTP port: how many may be open, and for how long."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Callable
from typing import cast

MAX_LINES = 128
"""Connections open at once: far above what probes need, far below the limit of files."""

LINE_SECONDS = 5.0
"""How long a connection lives, from its start to the last byte of the answer."""

ACCEPTED_AT_ONCE = 32
"""Connections accepted in one go: below `MAX_LINES`, so that a request that came with its
connection is read before newer connections can displace it."""

WAITING_TO_BE_ACCEPTED = 512
"""Connections that the kernel keeps meanwhile. Of one too many it drops the first packet, which is
sent again after a second: too late for a probe."""


class BoundedLines:
    """A factory of protocols for `create_server`, around the factory of an HTTP server.

    There is no waiting for room, which would let who holds all connections lock out the probes: a
    connection too many displaces the oldest one of the address that holds the most.
    """

    def __init__(
        self,
        factory: Callable[[], asyncio.Protocol],
        most: int = MAX_LINES,
        seconds: float = LINE_SECONDS,
    ) -> None:
        self._factory = factory
        self._most = most
        self._seconds = seconds
        self._open: dict[_Line, str] = {}  # oldest first

    def __call__(self) -> asyncio.Protocol:
        return _Line(self._factory(), self)

    def __len__(self) -> int:
        """Connections that are open now."""
        return len(self._open)

    def opened(self, line: _Line, address: str) -> asyncio.TimerHandle:
        """Count a connection, displace another if there are too many, and set its end."""
        self._open[line] = address
        if len(self._open) > self._most:
            (greediest, _), *_ = Counter(self._open.values()).most_common(1)
            oldest = next(one for one, holder in self._open.items() if holder == greediest)
            self.closed(oldest)
            oldest.abort()
        return asyncio.get_running_loop().call_later(self._seconds, line.abort)

    def closed(self, line: _Line) -> None:
        self._open.pop(line, None)


class _Line(asyncio.Protocol):
    """One connection; what comes goes to the HTTP server's own protocol."""

    def __init__(self, inner: asyncio.Protocol, lines: BoundedLines) -> None:
        self._inner = inner
        self._lines = lines
        self._transport: asyncio.Transport | None = None
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not of its classes
        peer = transport.get_extra_info("peername")
        self._inner.connection_made(transport)
        self._end = self._lines.opened(self, str(peer[0]) if peer else "")

    def abort(self) -> None:
        """Close at once: what was not sent yet is dropped."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        if self._end is not None:
            self._end.cancel()
        self._lines.closed(self)
        self._inner.connection_lost(error)


async def listen(lines: BoundedLines, host: str, port: int) -> asyncio.Server:
    """Serve at `host` and `port`. Raises OSError when it is taken."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lines, host, port, backlog=ACCEPTED_AT_ONCE)
    for listening in server.sockets:
        # asyncio has one number for both: here the kernel gets its own.
        with socket.socket(fileno=os.dup(listening.fileno())) as same:
            same.listen(WAITING_TO_BE_ACCEPTED)
    return server

"""The console's HTTP server: how many connections it has, and how slow a request may be.

Whoever can reach the port could hold all its connections otherwise, without any key.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from aiohttp import web

from worker.console.raw_answers import TOO_SLOW, unreadable
from worker.console.request_times import CONNECTIONS
from worker.file_limit import raise_limit
from worker.listening_ports import CONSOLE, listening
from worker.observability.http_server import listen
from worker.serving.http_connections import ROOM_BYTES, Lines
from worker.serving.http_protocol import BoundedProtocol

MOST_LINES: Final = 512
"""Connections: half of the files that a process may have open where nobody has raised that."""
HEAD_SECONDS: Final = 10.0
"""From the first byte of a request to the end of its headers."""
_FIELD_BYTES: Final = 8190
"""As aiohttp has it: a link to many letters that are marked is long."""
_STOP_SECONDS: Final = 2.0


class ConsoleServer:
    """Serves the console's application until `stop`."""

    def __init__(
        self,
        app: web.Application,
        most_body_bytes: int,
        most_lines: int = MOST_LINES,
        head_seconds: float = HEAD_SECONDS,
    ) -> None:
        self._app = app
        self._most_bytes = most_body_bytes + ROOM_BYTES
        self._most_lines = most_lines
        self._head_seconds = head_seconds
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_SECONDS)
        self._listener: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port. Raises `PortUnusable`."""
        raise_limit()
        await self._runner.setup()
        server = self._runner.server
        if server is None:
            raise RuntimeError("the HTTP server was not set up")
        connections = self._app[CONNECTIONS]
        connections.lines = Lines(
            partial(BoundedProtocol, server, unreadable, _FIELD_BYTES),
            self._head_seconds,
            self._most_bytes,
            TOO_SLOW,
            self._most_lines,
        )
        with listening(host, port, CONSOLE):
            self._listener = await listen(connections.lines, host, port)
        return int(self._listener.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Take nothing more, and end what is under way."""
        if self._listener is not None:
            self._listener.close()
        if (lines := self._app[CONNECTIONS].lines) is not None:
            lines.stop()
        await self._runner.cleanup()

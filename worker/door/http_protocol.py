"""The door's HTTP server: aiohttp's, within bounds, and in the door's own words where a request is
none. aiohttp's words would quote it, and a header that can't be read may be the one with a secret.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web

from worker.observability.http_server import quiet_logger

IDLE_SECONDS: Final = 75.0
"""Of a connection without a request: longer than proxies keep theirs, or they would send a request
into one that is just being closed."""
LINGER_SECONDS: Final = 2.0
"""For which the rest of a body is read that was not wanted, so that the answer arrives."""
_FIELD_BYTES: Final = 4096
_FIELDS: Final = 64
_READ_BYTES: Final = 2**16


class DoorProtocol(web.RequestHandler):
    """One connection of the door's `server`; `unreadable` makes the response to what is no HTTP."""

    __slots__ = ("_unreadable",)

    def __init__(self, server: web.Server, unreadable: Callable[[], web.StreamResponse]) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # as aiohttp's own runner has it for no log
            logger=quiet_logger(__name__),
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=LINGER_SECONDS,
            max_line_size=_FIELD_BYTES,
            max_field_size=_FIELD_BYTES,
            max_headers=_FIELDS,
            read_bufsize=_READ_BYTES,
            auto_decompress=False,
        )
        self._unreadable = unreadable

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The response to a request that can't be read, see `web.RequestHandler`."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        return self._unreadable()

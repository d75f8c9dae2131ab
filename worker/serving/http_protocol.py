"""aiohttp's HTTP server within bounds, and in our own words where a request is none. Its own words
would quote it, and a header that can't be read may be the one with a secret.
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
FIELD_BYTES: Final = 4096
_FIELDS: Final = 64
_READ_BYTES: Final = 2**16


class BoundedProtocol(web.RequestHandler):
    """One connection of `server`; `unreadable` makes the response to what is no HTTP, by the status
    that aiohttp would give it. A line of the head has `field_bytes` at most.
    """

    __slots__ = ("_unreadable",)

    def __init__(
        self,
        server: web.Server,
        unreadable: Callable[[int], web.StreamResponse],
        field_bytes: int = FIELD_BYTES,
    ) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # as aiohttp's own runner has it for no log
            logger=quiet_logger(__name__),
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=LINGER_SECONDS,
            max_line_size=field_bytes,
            max_field_size=field_bytes,
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
        if status >= web.HTTPInternalServerError.status_code:
            # A fault of ours, whose text may quote what was sent.
            self.logger.error("a request was not handled: %s", type(exc).__name__)
        return self._unreadable(status)

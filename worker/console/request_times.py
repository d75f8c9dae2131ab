"""How long the body of a request to the console may take to come, and who has room meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Final

from aiohttp import web
from aiohttp.http import HttpProcessingError

from worker.serving.http_connections import Line, Lines

OPEN_BODY_SECONDS: Final = 5.0
"""Of who has not signed in: a key is some bytes, which come right behind the headers."""
BODY_SECONDS: Final = 30.0
"""Of who has: an event to be explained may have a megabyte."""
MOST_OPEN_BODY_BYTES: Final = 16 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Connections:
    """The connections of the console; None where it is served without bounds."""

    def __init__(self) -> None:
        self.lines: Lines | None = None


CONNECTIONS: Final = web.AppKey("connections", Connections)
LINE: Final = web.RequestKey("line", Line)


@web.middleware
async def count_line(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell the connection of a request that it is handled, and when it is."""
    lines = request.app[CONNECTIONS].lines
    line = None if lines is None else lines.of(request.protocol)
    if line is None:
        return await handler(request)
    request[LINE] = line
    line.begin(request.content)
    try:
        response = await handler(request)
    except web.HTTPException as answer:
        _close_after(line, answer)
        raise
    finally:
        line.end(is_whole=request.content.is_eof())
    _close_after(line, response)
    return response


def _close_after(line: Line, response: web.StreamResponse) -> None:
    if line.is_half_closed:
        response.force_close()


def has_left(request: web.Request) -> bool:
    """Whether the client has closed its side: of a stream that is how a browser goes."""
    line = request.get(LINE)
    return line is not None and line.is_half_closed


async def read_form(request: web.Request, *, is_open: bool) -> None:
    """Read the form that was sent, once for all who ask for it, in its time; meanwhile its
    connection may be closed for another. `is_open`: nobody knows who sends it. Raises
    `HTTPBadRequest`, `HTTPRequestTimeout` and `HTTPRequestEntityTooLarge`.
    """
    line = request.get(LINE)
    try:
        with line.reading_unproven() if line is not None else nullcontext():
            async with asyncio.timeout(OPEN_BODY_SECONDS if is_open else BODY_SECONDS):
                await request.post()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except (ValueError, LookupError, AssertionError):
        raise web.HTTPBadRequest from None
    except (ConnectionError, web.RequestPayloadError, HttpProcessingError):
        raise web.HTTPBadRequest from None

"""Sends a file of lines to a browser, which keeps it instead of showing it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

import structlog
from aiohttp import web

from worker.errors import EndsCommand

log = structlog.get_logger(__name__)

_LINES_AT_ONCE: Final = 200


async def send_lines(
    request: web.Request, name: str, portions: AsyncIterator[Sequence[bytes]]
) -> web.StreamResponse:
    """The answer to `request` with a file of JSON lines, as they come. `name` is one that needs no
    quoting. Where they end by an `EndsCommand`, the connection is cut, so that no part is taken for
    the whole.
    """
    response = web.StreamResponse()
    response.content_type = "application/x-ndjson"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    await response.prepare(request)
    try:
        async for lines in portions:
            if lines:
                await response.write(b"\n".join(lines) + b"\n")
    except EndsCommand as trouble:
        log.warning("console.file_cut", detail=str(trouble))
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response


async def in_portions(lines: Sequence[bytes]) -> AsyncIterator[Sequence[bytes]]:
    """Some lines of a file at a time."""
    for start in range(0, len(lines), _LINES_AT_ONCE):
        yield lines[start : start + _LINES_AT_ONCE]

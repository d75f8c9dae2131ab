"""Sends a file of lines to a browser, which keeps it instead of showing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import web

_LINES_AT_ONCE: Final = 200


async def send_lines(request: web.Request, name: str, lines: Sequence[bytes]) -> web.StreamResponse:
    """The answer to `request`: JSON lines, in pieces. `name` is one that needs no quoting."""
    response = web.StreamResponse()
    response.content_type = "application/x-ndjson"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    await response.prepare(request)
    for start in range(0, len(lines), _LINES_AT_ONCE):
        await response.write(b"\n".join(lines[start : start + _LINES_AT_ONCE]) + b"\n")
    await response.write_eof()
    return response

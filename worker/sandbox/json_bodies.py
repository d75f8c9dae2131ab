"""JSON in and out, the same way everywhere in the emulator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web


def json_answer(
    document: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A response with a JSON body."""
    return web.Response(
        body=orjson.dumps(document),
        status=status,
        headers={"Content-Type": "application/json"} | dict(headers or {}),
    )


def parsed_or_text(body: bytes) -> Any:
    """The JSON of a request's body; its text when it is none; None when it is empty."""
    try:
        return orjson.loads(body) if body else None
    except orjson.JSONDecodeError:
        return body.decode(errors="replace")

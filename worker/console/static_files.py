"""Style sheet, scripts and icons: read once, sent compressed, and kept by browsers for good under a
link that names their digest.
"""

from __future__ import annotations

import gzip
import hashlib
from importlib.resources import files
from typing import Final, NamedTuple

from aiohttp import web

_TYPES: Final = {
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
_NAMES: Final = (
    "console.css",
    "charts.js",
    "console.js",
    "icon-failing.svg",
    "icon-well.svg",
    "vendor/htmx.min.js",
    "vendor/uPlot.iife.min.js",
    "vendor/uPlot.min.css",
)
_FOR_GOOD: Final = "public, max-age=31536000, immutable"


class StaticFile(NamedTuple):
    """A style sheet, script or icon; `packed` is `content` in gzip."""

    content: bytes
    packed: bytes
    kind: str
    digest: str


def _read(name: str) -> StaticFile:
    content = (files("worker.console") / "static" / name).read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:16]
    packed = gzip.compress(content, mtime=0)
    return StaticFile(content, packed, _TYPES[name.rpartition(".")[2]], digest)


_FILES: Final = {name: _read(name) for name in _NAMES}


def static_link(name: str) -> str:
    """The link of a style sheet, script or icon."""
    return f"/static/{_FILES[name].digest}/{name}"


async def send_static(request: web.Request) -> web.Response:
    """A style sheet, script or icon, by its digest and name."""
    found = _FILES.get(request.match_info["name"])
    if found is None or found.digest != request.match_info["digest"]:
        raise web.HTTPNotFound
    headers = {"Cache-Control": _FOR_GOOD, "Vary": "Accept-Encoding"}
    body = found.content
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        body = found.packed
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, headers=headers, content_type=found.kind, charset="utf-8")


def routes() -> list[web.RouteDef]:
    """The route of style sheet, scripts and icons."""
    return [web.get("/static/{digest}/{name:.+}", send_static)]

"""What the console answers beside its pages: to what is no request, and to what came too slowly. It
quotes nothing of what was sent. And the headers that every answer has.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer, by which browsers would hide of their own forms where they come from.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Server": "consent-worker",
}
_BESIDE: Final = {"Cache-Control": "no-store", "Content-Type": "text/plain; charset=utf-8"}
_NOT_HTTP: Final = "This is no request of HTTP/1.1, or its headers are too long.\n"
_FAILED: Final = "The console has failed at this request.\n"
_SLOW: Final = b"The request did not come in time.\n"


def unreadable(status: int) -> web.Response:
    """The response to a request that aiohttp can't hand to any page."""
    text = _FAILED if status >= 500 else _NOT_HTTP
    response = web.Response(body=text.encode(), status=status, headers=HEADERS | _BESIDE)
    response.force_close()
    return response


def _whole(status: bytes, body: bytes) -> bytes:
    fields = {**HEADERS, **_BESIDE, "Content-Length": str(len(body)), "Connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return b"HTTP/1.1 " + status + b"\r\n" + head.encode() + b"\r\n" + body


TOO_SLOW: Final = _whole(b"408 Request Timeout", _SLOW)
"""The whole response to headers that did not come in time."""

"""Signing in to the console by a key, and out."""

from __future__ import annotations

import re
from typing import Final

import structlog
from aiohttp import web

from worker.console.context import CONTEXT, ConsoleContext
from worker.console.formats import number
from worker.console.identity import address_of, keeps_no_cookie, role_of_key
from worker.console.rendering import render

log = structlog.get_logger(__name__)

_WAY: Final = re.compile(r"/(?:[A-Za-z0-9][A-Za-z0-9._~/-]{0,200})?")
"""A path of the console, and of no other host."""
_MOST_KEY_CHARACTERS: Final = 512


def routes(_: ConsoleContext) -> list[web.RouteDef]:
    """The routes of signing in, which are open to everybody, but for `/logout`."""
    return [
        web.get("/login", show),
        web.post("/login", sign_in),
        web.post("/logout", sign_out),
        web.get("/healthz", health),
    ]


async def health(_: web.Request) -> web.Response:
    """The process of the console lives."""
    return web.json_response({"status": "ok"})


async def show(request: web.Request) -> web.Response:
    """The form to sign in."""
    return _form(request, request.query.get("next", ""))


async def sign_in(request: web.Request) -> web.StreamResponse:
    """Judge the key to sign in. Who shows too many wrong ones waits; a right one always counts."""
    context = request.app[CONTEXT]
    said = await request.post()
    way, key = said.get("next"), said.get("key")
    way = way if isinstance(way, str) else ""
    is_key = isinstance(key, str) and 0 < len(key) <= _MOST_KEY_CHARACTERS
    role = role_of_key(context.settings, key.strip()) if is_key and isinstance(key, str) else None
    if role is None:
        return _refused(request, way)
    log.info("console.signed_in", address=address_of(request), role=role.word)
    response = web.Response(status=303, headers={"Location": _inside(way)})
    context.identity.begin(request, response, role)
    return response


def _refused(request: web.Request, way: str) -> web.Response:
    """The form again, for a wrong key."""
    tries, address = request.app[CONTEXT].tries, address_of(request)
    wait_seconds = tries.wait_seconds(address)
    if wait_seconds:
        mistake = f"Too many wrong keys. Try again in {number(int(wait_seconds) + 1)} s."
        response = _form(request, way, mistake, 429)
        response.headers["Retry-After"] = str(int(wait_seconds) + 1)
        return response
    tries.failed(address)
    left = tries.left(address)
    log.warning("console.key_refused", address=address, tries_left=left)
    mistake = f"This key isn\u2019t known. {left} tries left in this minute."
    return _form(request, way, mistake, 403)


async def sign_out(request: web.Request) -> web.StreamResponse:
    """End the session, here and for every copy of its cookie."""
    response = web.Response(status=303, headers={"Location": "/login"})
    request.app[CONTEXT].identity.end(request, response)
    return response


def _form(request: web.Request, way: str, mistake: str = "", status: int = 200) -> web.Response:
    return render(
        request,
        "login.html",
        status,
        way=_inside(way),
        mistake=mistake,
        keeps_no_cookie=keeps_no_cookie(request),
    )


def _inside(way: str) -> str:
    """Where to go after signing in: a page of the console, whatever a link said."""
    return way if _WAY.fullmatch(way) else "/"

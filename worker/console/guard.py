"""What every request to the console passes: who asks, may they, is it their own form. And what
answers have.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import quote

import structlog
from aiohttp import web

from worker.console import csrf
from worker.console.access import is_on_record, required_role
from worker.console.context import CONTEXT
from worker.console.identity import MisleadingProxy
from worker.console.raw_answers import HEADERS
from worker.console.rendering import BEAT, SESSION, is_asked_by_script, render
from worker.console.request_times import MOST_OPEN_BODY_BYTES, read_form
from worker.console.sessions import Session
from worker.errors import EndsCommand
from worker.serving.rarely_told import RarelyTold

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TOLD: Final = web.AppKey("told", RarelyTold)
_OPEN: Final = ("/login", "/healthz")
_OPEN_BELOW: Final = "/static/"
_SAFE: Final = ("GET", "HEAD")


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers of every response of the console, errors included."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


@web.middleware
async def tell_trouble(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns what goes wrong with a request into a page that says so."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400 or request.path.startswith(_OPEN_BELOW):
            raise
        return _page(request, error.status)
    except EndsCommand as trouble:
        beat = request.get(BEAT)
        is_told = beat is not None and beat.told is None  # by the banner above the page
        return _page(request, 503, "" if is_told else str(trouble))
    except (asyncio.CancelledError, ConnectionError):
        raise
    except Exception as error:
        # Neither the text of the error nor the query: both may quote what a person sent.
        what = (_route(request), type(error).__name__, _place(error))
        if times := request.app[TOLD].count(what, time.monotonic()):
            path, name, place = what
            log.error("console.page_failed", path=path, error=name, place=place, times=times)
        return _page(request, 500)


@web.middleware
async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses requests of those who may not: nothing is open that is not named here."""
    if request.path in _OPEN or request.path.startswith(_OPEN_BELOW):
        if request.method not in _SAFE:
            _check_origin(request)
            request = request.clone(client_max_size=MOST_OPEN_BODY_BYTES)
            await read_form(request, is_open=True)
        return await handler(request)
    context = request.app[CONTEXT]
    try:
        session = context.identity.of(request)
    except MisleadingProxy as mistake:
        if times := request.app[TOLD].count("proxy", time.monotonic()):
            log.warning("console.proxy_misleads", times=times, detail=str(mistake))
        raise web.HTTPForbidden from None
    if session is None:
        return _to_login(request)
    request[SESSION] = session
    if request.method not in _SAFE:
        await _check_form(request, session, context.secret)
    elif is_on_record(request.match_info.handler):
        _check_origin(request)
    if session.role < required_role(request.match_info.handler):
        raise web.HTTPForbidden
    request[BEAT] = await context.pulse.beat()
    return await handler(request)


def _to_login(request: web.Request) -> web.StreamResponse:
    if request.method not in _SAFE or "event-stream" in request.headers.get("Accept", ""):
        raise web.HTTPUnauthorized
    if is_asked_by_script(request):
        return web.Response(status=401, headers={"HX-Redirect": "/login"})
    # The path alone: whatever else a link had is not carried around.
    way = "" if request.path == "/" else f"?next={quote(request.path)}"
    raise web.HTTPSeeOther(f"/login{way}")


def _check_origin(request: web.Request) -> None:
    """Nobody is signed in, and nothing is done in a name, by a form or a link of another site."""
    said = request.headers.get("Sec-Fetch-Site", "same-origin")
    if said not in ("same-origin", "none"):
        raise web.HTTPForbidden


async def _check_form(request: web.Request, session: Session, secret: bytes) -> None:
    _check_origin(request)
    await read_form(request, is_open=False)
    token = request.headers.get(csrf.HEADER)
    if token is None:
        said = (await request.post()).get(csrf.FIELD)
        token = said if isinstance(said, str) else ""
    if not csrf.is_right(secret, session.id, token):
        raise web.HTTPForbidden


_SENTENCES: Final = {
    400: ("This can\u2019t be understood", "Nothing was changed. Go back and try again."),
    401: ("You are not signed in", "The session has ended. Nothing was changed."),
    403: ("This was refused", "Nothing was changed."),
    404: ("There is no such page", "The link may be of an older console."),
    408: ("This took too long to come", "Nothing was changed."),
    405: ("This is not done that way", "Nothing was changed."),
    413: ("That is too large", "Nothing was changed. Events have 1 MiB at most."),
    500: (
        "The console has failed at this page",
        "Nothing of the fleet is touched by this. The log of the console has the place; please "
        "report it.",
    ),
    503: ("This can\u2019t be answered now", "Delivery isn\u2019t touched by this."),
}


_BEGIN_HERE: Final = (
    "Nothing was changed. A form or link of another site does nothing here, nor a form of a "
    "session that has ended: open the page of the console, and begin there."
)


def _page(request: web.Request, status: int, why: str = "") -> web.Response:
    head, rest = _SENTENCES.get(status, _SENTENCES[400 if status < 500 else 500])
    session: Session | None = request.get(SESSION)
    needed, lacks_role = required_role(request.match_info.handler), False
    if status == web.HTTPForbidden.status_code and session is not None:
        rest, lacks_role = _BEGIN_HERE, session.role < needed
        if lacks_role:
            whose = f"the {needed.word}\u2019s key; yours is the {session.role.word}\u2019s"
            head, rest = "Your key may not do this", f"Nothing was changed. This needs {whose}."
    return render(
        request,
        "trouble.html",
        status,
        head=head,
        rest=rest,
        why=why,
        may_sign_in=lacks_role,
    )


def _route(request: web.Request) -> str:
    """The pattern of the path, which has no value of anybody."""
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical


def _place(error: BaseException) -> str:
    """Where it was raised, without any value."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}"

"""Server-sent events that say how the fleet does, once in a while and when that changes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import orjson
from aiohttp import web

from worker.console.context import CONTEXT, ConsoleContext
from worker.console.followers import Followers
from worker.console.formats import clock, number
from worker.console.pulse import Beat
from worker.console.rendering import SESSION
from worker.console.request_times import has_left

_LOOK_SECONDS: Final = 1.0
_SAY_AGAIN_LOOKS: Final = 5
FOLLOWERS: Final = web.AppKey("followers", Followers)
_HEADERS: Final = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}


def routes(_: ConsoleContext) -> list[web.RouteDef]:
    """The route of the stream that says how the fleet does."""
    return [web.get("/live", follow)]


async def follow(request: web.Request) -> web.StreamResponse:
    """Tell how the fleet does until the browser goes, the session ends, or the console does."""
    context, session = request.app[CONTEXT], request[SESSION]
    response = web.StreamResponse(headers=_HEADERS)
    await response.prepare(request)
    said: object = None
    looks = 0
    with (
        suppress(ConnectionError, asyncio.CancelledError),
        request.app[FOLLOWERS].following(session) as is_ended,
    ):
        # Whoever it is stays so with one request; a session may run out, or be ended elsewhere.
        while context.identity.of(request) is not None:
            if is_ended.is_set() or has_left(request):
                break
            beat = await context.pulse.beat()
            if looks % _SAY_AGAIN_LOOKS == 0 or beat.verdict != said:
                said = beat.verdict
                await response.write(b"event: beat\ndata: " + _told(beat) + b"\n\n")
            looks += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(is_ended.wait(), _LOOK_SECONDS)
    return response


def _told(beat: Beat) -> bytes:
    sign = {"failing": "\u25b2 ", "missing": "\u25b2 ", "away": "\u25b2 ", "blocked": "\u2298 "}
    sentence = beat.verdict.sentence
    title = f"{sign.get(beat.verdict.state, '')}{sentence[:80]} \u00b7 consent-worker"
    said = {"sentence": sentence, "title": title, "is_urgent": beat.urgent > 0}
    now = "" if beat.told is None else clock(beat.told.now)
    return orjson.dumps(said | {"letters": number(beat.letters), "clock": now})

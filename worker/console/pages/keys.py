"""The page of the keyboard's keys."""

from __future__ import annotations

from aiohttp import web

from worker.console.context import ConsoleContext
from worker.console.rendering import render


def routes(_: ConsoleContext) -> list[web.RouteDef]:
    """The route of the page of the keyboard's keys."""
    return [web.get("/keys", show)]


async def show(request: web.Request) -> web.Response:
    """All keys of the keyboard; none acts at once, and each has a visible control."""
    return render(request, "keys.html")

"""Is the fleet healthy?"""

from __future__ import annotations

from aiohttp import web

from worker.console.context import ConsoleContext
from worker.console.rendering import render


def routes(_: ConsoleContext) -> list[web.RouteDef]:
    """The first page."""
    return [web.get("/", show)]


async def show(request: web.Request) -> web.Response:
    """The verdict, and what it is made of."""
    return render(request, "overview.html")

"""The list of the integrations: which customer is failing, and what does Adobe say?"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from worker.console.context import CONTEXT, ConsoleContext
from worker.console.integration_rows import STATES, counts_by_state, headline
from worker.console.periods import PERIODS, period_of
from worker.console.rendering import BEAT, render

ROWS: Final = 50
"""On one page."""
_MOST_CHARACTERS: Final = 100


def routes(_: ConsoleContext) -> list[web.RouteDef]:
    """The route of the list of the integrations."""
    return [web.get("/integrations", show)]


async def show(request: web.Request) -> web.Response:
    """The list of the integrations, sorted by trouble; filters are links."""
    context, beat, period = request.app[CONTEXT], request[BEAT], period_of(request)
    rows = await context.fleet.rows(beat, period)
    state = request.query.get("state", "")
    part = request.query.get("q", "")[:_MOST_CHARACTERS].strip()
    chosen = [
        one
        for one in rows
        if (state not in STATES or one.listed_as == state) and part.lower() in one.id.lower()
    ]
    page = page_of(request)
    start = (page - 1) * ROWS
    return render(
        request,
        "integrations.html",
        rows=chosen[start : start + ROWS],
        headline=headline(rows, beat.in_need),
        all_rows=len(rows),
        counts=counts_by_state(rows),
        is_unseen=any(one.unseen.waiting for one in rows),
        state=state,
        part=part,
        page=page,
        more=len(chosen) > start + ROWS,
        link=_link(state, part, period.name) + "&page=",
        state_link=lambda one: _link(one, part, period.name),
        period=period,
        periods=PERIODS,
        period_path=_link(state, part, ""),
        directory_trouble=context.integrations.notes[:1],
    )


def page_of(request: web.Request) -> int:
    """The number of the list's page that the link asks for, from 1 on."""
    text = request.query.get("page", "1")
    return max(1, min(int(text), 1_000_000)) if text.isascii() and text.isdigit() else 1


def _link(state: str, part: str, period: str) -> str:
    said = {"state": state, "q": part, "period": period}
    query = urlencode({name: one for name, one in said.items() if one})
    return f"/integrations?{query}" if query else "/integrations"

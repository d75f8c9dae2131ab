"""Who did what, when?"""

from __future__ import annotations

from typing import Final, get_args
from urllib.parse import urlencode

from aiohttp import web

from worker.console.context import CONTEXT, ConsoleContext
from worker.console.dead_letters.parts import LETTERS
from worker.console.rendering import BEAT, render
from worker.evidence.act import ActName
from worker.ledger.acts import ActsWanted, act_counts, told_acts
from worker.ledger.findings import MANIPULATIONS

_NAMES: Final = get_args(ActName)
_MOST_TEXT: Final = 200


def routes(_: ConsoleContext) -> list[web.RouteDef]:
    """The list."""
    return [web.get("/trail", show)]


async def show(request: web.Request) -> web.Response:
    """Acts, the latest first."""
    wanted = _wanted(request)
    context, beat = request.app[CONTEXT], request[BEAT]
    acts = await context.query(told_acts, wanted)
    counts = await context.query(act_counts)
    findings = [] if beat.told is None else beat.told.findings
    return render(
        request,
        "trail.html",
        wanted=wanted,
        acts=acts.acts,
        older=_link(wanted, before=str(acts.acts[-1].number)) if acts.more else "",
        total=counts.total,
        names=[
            ("all", _link(wanted, name=""), None, not wanted.name),
            *((name, _link(wanted, name=name), n, wanted.name == name) for name, n in counts.names),
        ],
        persons=[
            ("all", _link(wanted, who=""), not wanted.who),
            *((who, _link(wanted, who=who), wanted.who == who) for who, _ in counts.persons if who),
        ],
        manipulations=[one for one in findings if one.kind in MANIPULATIONS],
        waiting=request.app[LETTERS].trail.waiting,
        running=request.app[LETTERS].acts.running,
    )


def _wanted(request: web.Request) -> ActsWanted:
    said = {name: request.query.get(name, "") for name in ("name", "who", "integration")}
    before = request.query.get("before", "")
    if said["name"] and said["name"] not in _NAMES:
        raise web.HTTPBadRequest
    if any(len(one) > _MOST_TEXT for one in said.values()):
        raise web.HTTPBadRequest
    if before and not (before.isascii() and before.isdigit() and len(before) < 16):
        raise web.HTTPBadRequest
    return ActsWanted(**said, before=int(before) if before else None)


def _link(wanted: ActsWanted, **changes: str) -> str:
    said = {"name": wanted.name, "who": wanted.who, "integration": wanted.integration} | changes
    query = urlencode({name: one for name, one in said.items() if one})
    return f"/trail?{query}" if query else "/trail"

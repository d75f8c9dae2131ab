"""One replay or discard of dead letters: how far it came, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from worker.console.access import Role, required
from worker.console.context import CONTEXT, ConsoleContext
from worker.console.dead_letters.letter_act import LetterAct
from worker.console.dead_letters.letter_run import LetterRun
from worker.console.dead_letters.listed_letter import Inventory, ListedLetter
from worker.console.dead_letters.parts import LETTERS
from worker.console.pages.dead_letters import PATH
from worker.console.rendering import SESSION, render
from worker.reasons import SkipReason

_SETTLES_MS: Final = 60_000
"""After its end a page still asks: a pass over the letters and receipts tell more by then."""
_SENTENCES: Final = {one.value: one.sentence for one in SkipReason}


def routes(_: ConsoleContext) -> list[web.RouteDef]:
    """The routes of an act on dead letters that has begun."""
    return [
        web.get(f"{PATH}/acts/{{act}}", show),
        web.post(f"{PATH}/acts/{{act}}/stop", stop),
        web.post(f"{PATH}/acts/{{act}}/go-on", go_on),
    ]


async def show(request: web.Request) -> web.Response:
    """How far an act on dead letters came, for everybody."""
    act_id = request.match_info["act"]
    run = request.app[LETTERS].acts.find(act_id)
    if run is None:
        return render(request, "act_unknown.html", 404)
    await run.learn()
    act, now_ms = run.act, request.app[CONTEXT].now_ms()
    inventory: Inventory | None = None
    if act.is_over:
        looked = await request.app[LETTERS].inventory.look(0.5)
        if looked.inventory is not None and looked.inventory.at >= (act.ended_at or 0):
            inventory = looked.inventory
    there = [] if inventory is None else inventory.chosen(act.asked.meant, now_ms)
    return render(
        request,
        "act.html",
        act=act,
        meant=act.asked.meant,
        fates=act.fates,
        seconds_left=act.seconds_left(now_ms),
        inventory=inventory,
        there=len(there),
        new=_new(act, there),
        settles=act.ended_at is not None and now_ms - act.ended_at < _SETTLES_MS,
        sentences=_SENTENCES,
    )


def _new(act: LetterAct, letters: Sequence[ListedLetter]) -> int:
    """How many of these dead letters have died since the act on dead letters began."""
    return sum((one.letter.dead_at_ms or 0) >= act.began_at for one in letters)


@required(Role.OPERATOR)
async def stop(request: web.Request) -> web.StreamResponse:
    """End an act on dead letters after what is in hand; who asks for it stands in the trail."""
    run, session = _run(request), request[SESSION]
    if not run.act.is_over:
        run.stop(f"{session.name}, {session.role.word}" if session.name else session.role.word)
    raise web.HTTPSeeOther(f"{PATH}/acts/{run.act.id}")


@required(Role.OPERATOR)
async def go_on(request: web.Request) -> web.StreamResponse:
    """Try the broker for an act on dead letters again now."""
    run = _run(request)
    run.go_on()
    raise web.HTTPSeeOther(f"{PATH}/acts/{run.act.id}")


def _run(request: web.Request) -> LetterRun:
    run = request.app[LETTERS].acts.find(request.match_info["act"])
    if run is None:
        raise web.HTTPNotFound
    return run

"""What would be sent for an event, and why? Nothing is sent, and nothing is kept."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

import orjson
from aiohttp import web

from worker.console.console_database import KnownVersion
from worker.console.context import CONTEXT, ConsoleContext
from worker.console.explained_event import MOST_SHOWN, Asked, explained, organization_in
from worker.console.explaining_turns import ExplainingTurns, TooManyWait
from worker.console.fleet_lanes import lanes_of
from worker.console.fleet_troubles import why_of
from worker.console.rendering import BEAT, render
from worker.console.sample_events import sample_event

TURNS: Final = web.AppKey("turns", ExplainingTurns)
_MOST_VERSIONS: Final = 50
"""Older ones that can be chosen; a link of an integration's page names its own."""
_MOST_ID: Final = 200
_MOST_GIVEN_BACK: Final = 2**16
"""Characters of what was pasted that an answer to a mistake gives back; most events have fewer."""
_NOT_GIVEN_BACK: Final = " What you pasted is too long to be given back: paste it once more."
_FORGOTTEN: Final = (
    "That version is not remembered any more: the console keeps five of each integration."
)
_NO_EVENT: Final = "Paste an event first: one JSON document, in Didomi\u2019s envelope or bare."
_TOO_MANY: Final = "Other events are explained now, one at a time. Try again in a moment."


class Typed(NamedTuple):
    """What stands in the form of an explanation, which answers to it alone repeat. `sample_of` is
    the organization of a sample, None where somebody has typed the event.
    """

    event: str = ""
    config: str = ""
    sample_of: str | None = None


NOTHING: Final = Typed()


def routes(_: ConsoleContext) -> list[web.RouteDef]:
    """The routes of an event's explanation: the field, and the answer."""
    return [web.get("/explain", ask), web.post("/explain", answer)]


async def ask(request: web.Request) -> web.Response:
    """The empty field for an event that is to be explained."""
    return await _ask(request)


async def answer(request: web.Request) -> web.Response:
    """What each integration would send for an event, which comes by POST and is not kept."""
    form = await request.post()
    said = {name: one for name, one in form.items() if isinstance(one, str)}
    context = request.app[CONTEXT]
    typed = Typed(said.get("event", ""), said.get("config", ""))
    if shape := said.get("sample"):
        organization = _organization(context, said.get("integration", ""))
        sample = typed._replace(event=sample_event(shape, organization), sample_of=organization)
        return await _ask(request, typed=sample)
    body = typed.event.encode(errors="replace")
    if not body.strip():
        return await _ask(request, _NO_EVENT, typed=typed)
    integrations = context.integrations.integrations
    digest, _, chosen = typed.config.partition(" ")
    older = None
    if digest:
        older = await asyncio.to_thread(context.memory.version, chosen, digest)
        if older is None:
            return await _ask(request, _FORGOTTEN, typed=typed)
    asked = Asked(
        body,
        chosen or said.get("integration", ""),
        older,
        integrations,
        _most(request),
        context.now_ms(),
    )
    try:
        # The page, too: it may have tens of thousands of lines.
        told = await request.app[TURNS].take(_answered, request, asked)
    except TooManyWait:
        return await _ask(request, _TOO_MANY, 503, typed=typed)
    return told if isinstance(told, web.Response) else await _ask(request, told, typed=typed)


def _answered(request: web.Request, asked: Asked) -> web.Response | str:
    """The page, or what is wrong with the event."""
    told = explained(asked)
    if isinstance(told, str):
        return told
    lines, theirs, others = told
    overview = request[BEAT].told
    return render(
        request,
        "explain.html",
        lines=lines,
        explained=theirs,
        others=others,
        lanes={} if overview is None else lanes_of(overview),
        why_of=why_of,
        is_same=asked.older is not None and len(theirs) > 1 and theirs[0].does_as(theirs[1]),
        bytes=len(asked.body),
        organization=organization_in(orjson.loads(asked.body)),
        organizations=sorted({one.organization_id for one in asked.integrations})[:MOST_SHOWN],
    )


async def _ask(
    request: web.Request, mistake: str = "", status: int = 400, typed: Typed = NOTHING
) -> web.Response:
    context = request.app[CONTEXT]
    if len(typed.event) > _MOST_GIVEN_BACK:
        typed, mistake = typed._replace(event=""), mistake + _NOT_GIVEN_BACK
    integration = request.query.get("integration", "")[:_MOST_ID]
    known = await asyncio.to_thread(context.memory.known_versions, integration, _MOST_VERSIONS)
    # What differs in its secrets alone is explained alike.
    older = [one for one in known if not _is_in_force(context, one)]
    return render(
        request,
        "explain_paste.html",
        status if mistake else 200,
        most_bytes=_most(request),
        mistake=mistake,
        event=typed.event,
        chosen=typed.config,
        is_sample=typed.sample_of is not None,
        organization=typed.sample_of,
        older=older,
        integration=integration,
    )


def _organization(context: ConsoleContext, integration: str) -> str:
    """The organization of that integration or of the first one, "" where there is none."""
    known = sorted(
        context.integrations.integrations, key=lambda one: (one.id != integration, one.id)
    )
    return known[0].organization_id if known else ""


def _is_in_force(context: ConsoleContext, known: KnownVersion) -> bool:
    present = context.integrations.get(known.integration)
    return present is not None and present.version == known.version


async def close(app: web.Application) -> None:
    """End the explanations of events at the end of the console."""
    app[TURNS].close()


def _most(request: web.Request) -> int:
    return request.app[CONTEXT].settings.max_event_bytes

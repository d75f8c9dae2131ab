"""What would be sent for an event, and why? Nothing is sent, and nothing is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson
from aiohttp import web

from worker.adobe.explanation import explain_event
from worker.console.context import CONTEXT, ConsoleContext
from worker.console.lit_lines import NO_TAGS, Tags, tags_of
from worker.console.masked_json import Line, event_lines
from worker.console.rendering import render
from worker.console.sent_lines import SentLine, sent_lines
from worker.integrations.model import Integration
from worker.reasons import DeadReason, ParkReason, SkipReason

_MOST_SHOWN: Final = 12
"""Integrations of one organization that are explained; a form names any other."""
_SENTENCES: Final[dict[str, str]] = {
    str(one): one.sentence for one in (*SkipReason, *DeadReason, *ParkReason)
}


class Explained(NamedTuple):
    """What one integration would do. `said` is the explanation as the command prints it."""

    integration: Integration
    said: dict[str, Any]
    tags: Tags
    request: Sequence[SentLine]

    @property
    def sends(self) -> int:
        """How many attributes."""
        return len(self.said["attributes"]) if self.said["outcome"] == "deliver" else 0

    @property
    def sentence(self) -> str:
        """Why it sends nothing."""
        return _SENTENCES.get(str(self.said["reason"]), "")


def routes(_: ConsoleContext) -> list[web.RouteDef]:
    """The field, and the answer."""
    return [web.get("/explain", ask), web.post("/explain", answer)]


async def ask(request: web.Request) -> web.Response:
    """The empty field."""
    return render(request, "explain_paste.html", most_bytes=_most(request), mistake="")


async def answer(request: web.Request) -> web.Response:
    """What each integration would send. The event comes by POST and is not kept."""
    said = await request.post()
    pasted, chosen = said.get("event", ""), said.get("integration", "")
    body = pasted.encode(errors="replace") if isinstance(pasted, str) else b""
    if not body.strip():
        mistake = "Paste an event first: one JSON document, in Didomi\u2019s envelope or bare."
        return render(
            request, "explain_paste.html", 400, most_bytes=_most(request), mistake=mistake
        )
    context = request.app[CONTEXT]
    integrations = context.integrations.integrations
    told = await asyncio.to_thread(
        _explained, body, str(chosen), integrations, _most(request), context.now_ms()
    )
    if isinstance(told, str):
        return render(request, "explain_paste.html", 400, most_bytes=_most(request), mistake=told)
    lines, explained, others = told
    return render(
        request,
        "explain.html",
        lines=lines,
        explained=explained,
        others=others,
        bytes=len(body),
        organization=_organization_in(orjson.loads(body)),
        organizations=sorted({one.organization_id for one in integrations})[:_MOST_SHOWN],
    )


def _most(request: web.Request) -> int:
    return request.app[CONTEXT].settings.max_event_bytes


def _explained(
    body: bytes,
    chosen: str,
    integrations: Sequence[Integration],
    most_bytes: int,
    now_ms: int,
) -> tuple[list[Line], list[Explained], int] | str:
    """The event's lines, what the integrations of its organization would do, and how many others
    there are; or a sentence that says what is wrong with the event.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return f"This is no JSON (line {error.lineno}, column {error.colno})."
    theirs = [one for one in integrations if one.organization_id == _organization_in(document)]
    theirs.sort(key=lambda one: (one.id != chosen, one.id))
    explained = []
    for integration in theirs[:_MOST_SHOWN]:
        said = explain_event(body, integration, most_bytes)
        tags, request = NO_TAGS, []
        if said["request"] is not None:
            tags = tags_of(document, integration, now_ms)
            request = sent_lines(said["request"]["body"], integration, tags)
        explained.append(Explained(integration, said, tags, request))
    if not theirs and integrations:
        said = explain_event(body, integrations[0], most_bytes)
        if said["outcome"] == "dead":
            detail = f": {said['detail']}" if said["detail"] else ""
            return f"It would become a dead letter, {said['reason']}{detail}."
    return event_lines(document), explained, len(integrations) - len(theirs[:_MOST_SHOWN])


def _organization_in(document: Any) -> str:
    """As deep as Didomi's envelope has it; "" where there is none."""
    for _ in range(3):
        if not isinstance(document, dict):
            return ""
        said = document.get("organization_id")
        if isinstance(said, str):
            return said
        document = (
            document.get("parameters") or document.get("new_entity") or document.get("entity")
        )
    return ""

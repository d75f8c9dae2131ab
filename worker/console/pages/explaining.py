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
from worker.console.memory import KnownVersion, SeenConfig
from worker.console.older_config import NotReadable, integration_of
from worker.console.rendering import render
from worker.console.sent_lines import SentLine, sent_lines
from worker.integrations.model import Integration
from worker.reasons import DeadReason, ParkReason, SkipReason

_MOST_SHOWN: Final = 12
"""Integrations of one organization that are explained; a form names any other."""
_MOST_VERSIONS: Final = 50
"""Older ones that can be chosen; a link of an integration's page names its own."""
_MOST_ID: Final = 200
_FORGOTTEN: Final = (
    "That version is not remembered any more: the console keeps five of each integration."
)
_UNREADABLE: Final = (
    "That version can\u2019t be read any more: its file was of another version of this program."
)
_SENTENCES: Final[dict[str, str]] = {
    str(one): one.sentence for one in (*SkipReason, *DeadReason, *ParkReason)
}


class Asked(NamedTuple):
    """What is to be explained: the integration `chosen` comes first, or the version `older` of one
    (None: what is in force), and then what is in force of the same.
    """

    body: bytes
    chosen: str
    older: SeenConfig | None
    integrations: Sequence[Integration]
    most_bytes: int
    now_ms: int


class Explained(NamedTuple):
    """What one integration would do. `said` is the explanation as the command prints it. `older` is
    the version that it was asked of, None for the one in force.
    """

    integration: Integration
    said: dict[str, Any]
    tags: Tags
    request: Sequence[SentLine]
    older: SeenConfig | None = None

    @property
    def version(self) -> str:
        """That of the configuration."""
        return self.integration.version if self.older is None else self.older.version

    @property
    def label(self) -> str:
        """How it is called beside others."""
        name = self.integration.id
        return name if self.older is None else f"{name}, version {self.version}"

    def does_as(self, other: Explained) -> bool:
        """Whether both would do the same."""
        mine, theirs = self.said, other.said
        requests = [one["request"] and one["request"]["body"] for one in (mine, theirs)]
        names = ("outcome", "reason")
        return requests[0] == requests[1] and all(mine[one] == theirs[one] for one in names)

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
    return await _ask(request)


async def answer(request: web.Request) -> web.Response:
    """What each integration would send. The event comes by POST and is not kept."""
    form = await request.post()
    said = {name: one for name, one in form.items() if isinstance(one, str)}
    body = said.get("event", "").encode(errors="replace")
    if not body.strip():
        return await _ask(
            request, "Paste an event first: one JSON document, in Didomi\u2019s envelope or bare."
        )
    context = request.app[CONTEXT]
    integrations = context.integrations.integrations
    digest, _, chosen = said.get("config", "").partition(" ")
    older = None
    if digest:
        older = await asyncio.to_thread(context.memory.version, chosen, digest)
        if older is None:
            return await _ask(request, _FORGOTTEN)
    asked = Asked(
        body,
        chosen or said.get("integration", ""),
        older,
        integrations,
        _most(request),
        context.now_ms(),
    )
    told = await asyncio.to_thread(_explained, asked)
    if isinstance(told, str):
        return await _ask(request, told)
    lines, explained, others = told
    return render(
        request,
        "explain.html",
        lines=lines,
        explained=explained,
        others=others,
        is_same=older is not None and len(explained) > 1 and explained[0].does_as(explained[1]),
        bytes=len(body),
        organization=_organization_in(orjson.loads(body)),
        organizations=sorted({one.organization_id for one in integrations})[:_MOST_SHOWN],
    )


async def _ask(request: web.Request, mistake: str = "") -> web.Response:
    context = request.app[CONTEXT]
    integration = request.query.get("integration", "")[:_MOST_ID]
    known = await asyncio.to_thread(context.memory.known_versions, integration, _MOST_VERSIONS)
    # What differs in its secrets alone is explained alike.
    older = [one for one in known if not _is_in_force(context, one)]
    return render(
        request,
        "explain_paste.html",
        400 if mistake else 200,
        most_bytes=_most(request),
        mistake=mistake,
        older=older,
        integration=integration,
    )


def _is_in_force(context: ConsoleContext, known: KnownVersion) -> bool:
    present = context.integrations.get(known.integration)
    return present is not None and present.version == known.version


def _most(request: web.Request) -> int:
    return request.app[CONTEXT].settings.max_event_bytes


def _explained(asked: Asked) -> tuple[list[Line], list[Explained], int] | str:
    """The event's lines, what the integrations of its organization would do, and how many others
    there are; or a sentence that says what is wrong with the event.
    """
    body, integrations, most_bytes = asked.body, asked.integrations, asked.most_bytes
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return f"This is no JSON (line {error.lineno}, column {error.colno})."
    if asked.older is not None:
        try:
            old = integration_of(asked.older.text)
        except NotReadable:
            return _UNREADABLE
        now = [one for one in integrations if one.id == asked.chosen]
        told = [_one(asked, document, old, asked.older)]
        return event_lines(document), [*told, *(_one(asked, document, one) for one in now)], 0
    theirs = [one for one in integrations if one.organization_id == _organization_in(document)]
    theirs.sort(key=lambda one: (one.id != asked.chosen, one.id))
    explained = [_one(asked, document, one) for one in theirs[:_MOST_SHOWN]]
    if not theirs and integrations:
        said = explain_event(body, integrations[0], most_bytes)
        if said["outcome"] == "dead":
            detail = f": {said['detail']}" if said["detail"] else ""
            return f"It would become a dead letter, {said['reason']}{detail}."
    return event_lines(document), explained, len(integrations) - len(theirs[:_MOST_SHOWN])


def _one(
    asked: Asked, document: Any, integration: Integration, older: SeenConfig | None = None
) -> Explained:
    said = explain_event(asked.body, integration, asked.most_bytes)
    tags, request = NO_TAGS, []
    if said["request"] is not None:
        tags = tags_of(document, integration, asked.now_ms)
        request = sent_lines(said["request"]["body"], integration, tags)
    return Explained(integration, said, tags, request, older)


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

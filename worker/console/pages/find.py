"""What became of a choice? By an event's id, or a person's, which comes by POST, is hashed, and
stands nowhere.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from aiohttp import web

from worker.broker.broker_access import BrokerAway
from worker.console.context import CONTEXT, ConsoleContext
from worker.console.dead_letters.parts import LETTERS
from worker.console.formats import moment, number
from worker.console.rendering import SESSION, render
from worker.known_month_keys import NO_KEYS, known_month_keys
from worker.ledger.packing import unpack_user, users_of
from worker.ledger.replayed_lives import next_key
from worker.ledger.stories import Story, Wanted, find_event, find_users
from worker.ledger.unknown_spans import unknown_spans
from worker.letters.state_epochs import AGAIN
from worker.settings import UnusableSetting

_MOST_ID: Final = 1024
AT_MOST: Final = 200
"""Lives on one page, the latest."""


def routes(_: ConsoleContext) -> list[web.RouteDef]:
    """The routes of the look-up of a choice: the field, and what was found."""
    return [web.get("/find", ask), web.post("/find", find)]


async def ask(request: web.Request) -> web.Response:
    """The empty field for the id of an event or of a person."""
    return render(request, "find.html", found=None, mistake="")


async def find(request: web.Request) -> web.Response:
    """All lives of an event or of a person. What was typed is not shown again."""
    said = (await request.post()).get("q", "")
    text = said.strip() if isinstance(said, str) else ""
    if mistake := _mistake(text):
        return render(request, "find.html", 400, found=None, mistake=mistake)
    context = request.app[CONTEXT]
    found = await context.query(find_event, text, Wanted())
    values: dict[str, Any] = {"what": "event", "users": [], "notes": []}
    if not found.stories:
        found, values = await _of_person(request, text)
    stories = sorted(found.stories, key=_chosen_at, reverse=True)
    if not stories:
        spans = await context.query(unknown_spans, context.now_ms())
        values["notes"] += spans.sentences(moment)
    return render(
        request,
        "find.html",
        found=stories[:AT_MOST],
        replayed=_replayed(stories),
        more=found.more or len(stories) > AT_MOST,
        mistake="",
        **values,
    )


def _mistake(text: str) -> str:
    """What is wrong with what was typed. An id may have any characters, also such as are not seen:
    whoever sends events chooses them.
    """
    if not text:
        return "Type the id of an event or of a person."
    if len(text) > _MOST_ID:
        return f"This has {number(len(text))} characters, and an id {number(_MOST_ID)} at most."
    return ""


async def _of_person(request: web.Request, person: str) -> tuple[Any, dict[str, Any]]:
    """What was found, and what is to be said of it."""
    context, session = request.app[CONTEXT], request[SESSION]
    notes: list[str] = []
    users: list[bytes] = []
    try:
        keys = await known_month_keys(context.settings)
        users = users_of(person, keys)
        notes += [] if keys else [NO_KEYS]
    except (UnusableSetting, BrokerAway) as trouble:
        notes.append(f"it was not looked for as a person\u2019s id: {trouble}".removesuffix(AGAIN))
    found = await context.query(find_users, users, Wanted())
    if users:
        count = len(found.stories)
        result = f"{count} choices" if count != 1 else "1 choice"
        about = "by a person\u2019s id" if count else "by an id that is no known event\u2019s"
        trail = request.app[LETTERS].trail
        trail.note(trail.act_of(session, "found", about=about, result=result))
    return found, {"what": "person", "users": _called(found.stories, users), "notes": notes}


def _called(stories: Sequence[Story], users: Collection[bytes]) -> list[str]:
    """What receipts call a person who has these packed hashes, the latest month first."""
    packed = {step.packed_user for one in stories for step in one.steps}
    theirs = sorted((one for one in users if one in packed), reverse=True)
    return [unpack_user(one) or "" for one in theirs]


def _replayed(stories: Sequence[Story]) -> set[bytes]:
    """The keys of those whose dead letter has another life among these."""
    keys = {one.key for one in stories}
    return {one.key for one in stories if one.outcome == "dead" and next_key(one) in keys}


def _chosen_at(story: Story) -> int:
    receipts = [one.receipt.event_at for one in story.steps if one.receipt.event_at is not None]
    return receipts[0] if receipts else story.at

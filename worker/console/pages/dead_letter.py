"""One dead letter: its body with all masked that tells of a person, and the body itself for those
who may see it, once, for a reason that stays in the trail.
"""

from __future__ import annotations

from typing import Final

import orjson
from aiohttp import web

from worker.adobe.harmless_text import are_adobes_words
from worker.broker.broker_access import BrokerAway
from worker.console.access import Role, required
from worker.console.context import CONTEXT, ConsoleContext
from worker.console.dead_letters.inventory_reader import DeskTaken
from worker.console.dead_letters.listed_letter import ListedLetter, listed
from worker.console.dead_letters.parts import LETTERS
from worker.console.dead_letters.tickets import Spent
from worker.console.masked_json import Line, event_lines, lines_of
from worker.console.pages.dead_letters import PATH
from worker.console.rendering import SESSION, render
from worker.ledger.replay_prospects import LetterLife, letter_lives
from worker.ledger.trouble import LedgerTrouble, UnusableLedger
from worker.letters.letter_events import LetterEvent
from worker.redaction import redact
from worker.remedies import advised_act, meaning_of, remedy_for

_LETTER: Final = f"{PATH}/letters/{{letter}}"
_MOST_ID: Final = 128
_LEAST_WHY: Final = 4
_MOST_WHY: Final = 200
_MOST_TEXT: Final = 100_000
"""Characters of a body that is no JSON."""


def routes(_: ConsoleContext) -> list[web.RouteDef]:
    """The routes of one dead letter."""
    return [web.get(_LETTER, show), web.post(f"{_LETTER}/reveal", reveal)]


async def show(request: web.Request) -> web.Response:
    """The page of a dead letter, with its body masked."""
    letter_id = _id(request)
    parts, session = request.app[LETTERS], request[SESSION]
    event, trouble = None, ""
    try:
        event = await parts.inventory.find(letter_id)
    except (BrokerAway, DeskTaken) as away:
        trouble = str(away)
    if event is None:
        return render(
            request, "dead_letter_gone.html", 503 if trouble else 404, trouble=trouble, id=letter_id
        )
    one, life, life_key = await _known(request, event)
    ticket = ""
    if session.role >= Role.REVEALER:
        ticket = parts.reveals.issue(letter_id, session.id)
    return render(
        request,
        "dead_letter.html",
        one=one,
        life=life,
        life_key=life_key,
        is_adobes=are_adobes_words(event.letter.detail or ""),
        lines=_masked(event.body),
        ticket=ticket,
        running=parts.acts.running,
        inventory=parts.inventory.fresh,
        meaning=meaning_of(event.letter.reason, event.letter.error),
        remedy=remedy_for(event.letter.reason, event.letter.error),
        advised=advised_act(event.letter.reason, event.letter.error),
    )


@required(Role.REVEALER)
async def reveal(request: web.Request) -> web.Response:
    """The body of a dead letter as it is, once. The line in the trail is on record before anything
    is shown.
    """
    letter_id = _id(request)
    said = {name: one for name, one in (await request.post()).items() if isinstance(one, str)}
    why = " ".join(said.get("why", "").split())
    if not _LEAST_WHY <= len(why) <= _MOST_WHY:
        return render(request, "reveal_unclear.html", 400, id=letter_id, most=_MOST_WHY)
    parts, session = request.app[LETTERS], request[SESSION]
    ticket = said.get("ticket", "")
    try:
        if parts.reveals.look(ticket, session.id) != letter_id:
            raise Spent("")
        event = await parts.inventory.find(letter_id)
        if event is None:
            return render(request, "dead_letter_gone.html", 404, trouble="", id=letter_id)
        act = parts.trail.act_of(
            session,
            "revealed",
            about=f"letter {letter_id}",
            integration=event.letter.integration or "",
            why=redact(why),
            result="shown once",
        )
        parts.reveals.spend(ticket, session.id, act.id)
    except Spent:
        return render(request, "reveal_spent.html", 409, id=letter_id)
    await parts.trail.write(act)
    return render(request, "dead_letter_revealed.html", id=letter_id, lines=_whole(event.body))


def _id(request: web.Request) -> str:
    letter_id = request.match_info["letter"]
    if len(letter_id) > _MOST_ID:
        raise web.HTTPNotFound
    return letter_id


async def _known(
    request: web.Request, event: LetterEvent
) -> tuple[ListedLetter, LetterLife | None, bytes | None]:
    """The letter, what receipts know of its life, and the key of that."""
    context = request.app[CONTEXT]
    one = listed(event, context.letter_keys)
    try:
        lives = await context.query(letter_lives, set(one.keys))
    except (LedgerTrouble, UnusableLedger):
        return one, None, None
    key = next((known for known in one.keys if known in lives), None)
    return one, None if key is None else lives[key], key


def _masked(body: bytes) -> list[Line] | None:
    """None for what is no JSON."""
    try:
        return event_lines(orjson.loads(body))
    except orjson.JSONDecodeError:
        return None


def _whole(body: bytes) -> list[str]:
    try:
        lines = lines_of(orjson.loads(body), lambda path, value: True, lambda path, key: True)
    except orjson.JSONDecodeError:
        return body.decode(errors="replace")[:_MOST_TEXT].splitlines()
    return ["".join(part.text for part in line.parts) for line in lines]

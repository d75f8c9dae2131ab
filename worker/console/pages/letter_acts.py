"""Replay and discard of dead letters: what it would come to, and the word to begin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web

from worker.broker.broker_access import BrokerAway
from worker.console.access import Role, required
from worker.console.context import CONTEXT, ConsoleContext
from worker.console.dead_letters.asked import (
    MOST_CANARIES,
    Asked,
    Unclear,
    number_in,
)
from worker.console.dead_letters.letter_acts import ActRuns
from worker.console.dead_letters.listed_letter import (
    Inventory,
    ListedLetter,
    Preview,
    canaries_among,
    preview_of,
)
from worker.console.dead_letters.parts import LETTERS
from worker.console.dead_letters.tickets import Spent
from worker.console.fleet_lanes import lanes_of
from worker.console.pages.dead_letters import PATH, meant_of
from worker.console.rendering import BEAT, SESSION, render
from worker.errors import ServerTrouble
from worker.evidence.act import new_act_id
from worker.letters.letter_act_request import CANARY_WAIT, LONGEST_WAIT_SECONDS, Verb
from worker.letters.lost_state_guard import LostStateGuard
from worker.moments import span_seconds
from worker.redaction import redact

_LOOK_SECONDS: Final = 25.0
_NOT_IN_TIME: Final = (
    "The dead letters could not be looked at in time, and what was seen of them before is no "
    "preview of what there is now. The look goes on: load this page again in a moment."
)
_VERBS: Final[Mapping[str, Verb]] = {"replay": "replayed", "discard": "discarded"}
_MOST_RATE: Final = 100_000
_LEAST_RATE: Final = 0.01
_USUAL_CANARIES: Final = 20
_MOST_WHY: Final = 200


def routes(_: ConsoleContext) -> list[web.RouteDef]:
    """The routes of an act on dead letters: its preview, and its begin."""
    return [
        web.get(f"{PATH}/preview/{{verb}}", preview),
        web.post(f"{PATH}/acts", begin),
    ]


@required(Role.OPERATOR)
async def preview(request: web.Request) -> web.Response:
    """What an act on dead letters would come to. Nothing is done."""
    verb = _VERBS.get(request.match_info["verb"])
    if verb is None:
        raise web.HTTPNotFound
    meant = meant_of(request)
    if "selection" in request.query and not meant.ids:
        return render(request, "dead_letters_none.html", is_selection=True)  # it does not mean all
    parts = request.app[LETTERS]
    try:
        parts.acts.check_free()
    except ActRuns as other:
        return _tell_of_other(request, other)
    looked = await parts.inventory.look(_LOOK_SECONDS, anew=True)
    inventory = looked.inventory
    if inventory is None or looked.trouble or not looked.is_new:
        raise ServerTrouble(looked.trouble or _NOT_IN_TIME)
    letters = inventory.chosen(meant, request.app[CONTEXT].now_ms())
    if not letters:
        return render(request, "dead_letters_none.html", is_selection=False)
    asked = _asked(verb, inventory, letters, request)
    held_back = await _held_back(request, letters) if asked.verb == "replayed" else 0
    ticket = parts.previews.issue(asked, request[SESSION].id)
    told = preview_of(inventory, letters, held_back)
    return _show_preview(request, inventory, letters, asked, told, ticket)


@required(Role.OPERATOR)
async def begin(request: web.Request) -> web.StreamResponse:
    """Start the previewed act on dead letters. A form sent twice starts and shows one act."""
    said = {name: one for name, one in (await request.post()).items() if isinstance(one, str)}
    parts, session = request.app[LETTERS], request[SESSION]
    ticket = said.get("ticket", "")
    try:
        previewed = parts.previews.look(ticket, session.id)
        asked = _confirmed(previewed, said)
        parts.acts.check_free()
        act_id = new_act_id()
        parts.previews.spend(ticket, session.id, act_id)
    except Spent as spent:
        if spent.act:
            raise web.HTTPSeeOther(f"{PATH}/acts/{spent.act}") from None
        return render(request, "act_expired.html", 409)
    except Unclear as mistake:
        return render(
            request, "act_unclear.html", 400, mistake=str(mistake), back=_preview_link(previewed)
        )
    except ActRuns as other:
        return _tell_of_other(request, other)
    parts.acts.begin(asked, session, act_id)
    parts.inventory.forget()
    raise web.HTTPSeeOther(f"{PATH}/acts/{act_id}")


async def _held_back(request: web.Request, letters: Sequence[ListedLetter]) -> int | None:
    """How many stay, since the state was lost after they died; None where it can't be asked."""
    try:
        guard = await LostStateGuard.of(request.app[CONTEXT].settings, is_off=False)
    except BrokerAway:
        return None
    return sum(guard.holds_back(one.letter) for one in letters)


def _asked(
    verb: Verb, inventory: Inventory, letters: Sequence[ListedLetter], request: web.Request
) -> Asked:
    meant = meant_of(request)
    withdrawn = {one.key for one in letters if inventory.life_of(one).choice == "withdrawn"}
    goes_first = frozenset() if len(withdrawn) == len(letters) else frozenset(withdrawn)
    return Asked(
        verb,
        meant,
        len(letters),
        withdrawals=inventory.withdrawals(letters),
        previewed=Counter(one.name for one in letters),
        first_keys=goes_first,
        canary_keys=canaries_among(inventory, letters)[:MOST_CANARIES],
    )


def _confirmed(previewed: Asked, said: Mapping[str, str]) -> Asked:
    """What was previewed, with the options of the form. Raises `Unclear`."""
    typed_why = " ".join(said.get("why", "").split())
    if len(typed_why) > _MOST_WHY:
        raise Unclear(f"the reason has {_MOST_WHY} characters at most")
    why = redact(typed_why)
    if previewed.verb == "discarded":
        typed = said.get("typed", "").replace(",", "").strip()
        if typed != str(previewed.letters):
            raise Unclear(f"type {previewed.letters} to discard as many; nothing was discarded")
        return previewed.confirmed(why=why)
    canaries = number_in(said, "canaries", 0, MOST_CANARIES, is_whole=True)
    wait = number_in(said, "wait", 1, LONGEST_WAIT_SECONDS, is_whole=True)
    return previewed.confirmed(
        why=why,
        canaries=int(canaries or 0),
        wait_seconds=int(wait or span_seconds(CANARY_WAIT)),
        rate=number_in(said, "rate", _LEAST_RATE, _MOST_RATE),
        after_state_loss=said.get("after_state_loss") == "yes",
    )


def _show_preview(
    request: web.Request,
    inventory: Inventory,
    letters: Sequence[ListedLetter],
    asked: Asked,
    told: Preview,
    ticket: str,
) -> web.Response:
    named = {one.letter.integration for one in letters}
    beat = request[BEAT]
    lanes = {} if beat.told is None else lanes_of(beat.told)
    workers = None if beat.told is None else len(beat.told.live)
    values: dict[str, Any] = {
        "asked": asked,
        "meant": asked.meant,
        "ticket": ticket,
        "inventory": inventory,
        "preview": told,
        "integrations": sorted(one for one in named if one is not None),
        "troubled": [
            one for one in lanes.values() if one.state != "well" and one.integration in named
        ],
        "workers": workers,
        "canaries": min(_USUAL_CANARIES, max(1, len(letters) // 10)) if len(letters) > 1 else 0,
        "wait_seconds": span_seconds(CANARY_WAIT),
        "most_wait": LONGEST_WAIT_SECONDS,
        "most_canaries": MOST_CANARIES,
    }
    name = "preview_replay.html" if asked.verb == "replayed" else "preview_discard.html"
    return render(request, name, **values)


def _preview_link(asked: Asked) -> str:
    verb = "replay" if asked.verb == "replayed" else "discard"
    return asked.meant.full_link(f"{PATH}/preview/{verb}")


def _tell_of_other(request: web.Request, other: ActRuns) -> web.Response:
    return render(request, "act_other.html", 409, act=other.act)

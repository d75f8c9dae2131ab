"""The page of the trail: who did what, when?"""

from __future__ import annotations

from typing import Final, get_args
from urllib.parse import urlencode

import orjson
from aiohttp import web
from sqlalchemy import Connection

from worker.console.access import Role, goes_on_record, required
from worker.console.context import CONTEXT, ConsoleContext
from worker.console.days import NoSuchDays, days_in
from worker.console.dead_letters.parts import LETTERS
from worker.console.file_download import in_portions, send_lines
from worker.console.rendering import BEAT, SESSION, render
from worker.evidence.act import ActName
from worker.ledger.acts import ActsWanted, act_counts, told_acts
from worker.ledger.checked_acts import checked_acts
from worker.ledger.exporting_acts import ActSelection, chosen_acts, export_acts
from worker.ledger.ledger_from_settings import keyring_of
from worker.ledger.stream_findings import MANIPULATIONS
from worker.letters.letter_act_request import words_of_integration

_NAMES: Final = get_args(ActName)
_MOST_TEXT: Final = 200
MOST_EXPORTED: Final = 5_000
"""Acts of one file: it is made in memory."""


def routes(_: ConsoleContext) -> list[web.RouteDef]:
    """The routes of the trail: the list, and the file for an auditor."""
    return [web.get("/trail", show), web.get("/trail/acts.jsonl", export)]


async def show(request: web.Request) -> web.Response:
    """The acts of the trail, the latest first."""
    return await _page(request)


@goes_on_record
@required(Role.OPERATOR)
async def export(request: web.Request) -> web.StreamResponse:
    """The acts of some days with their places in the chains, and how to check them."""
    context = request.app[CONTEXT]
    integration = _text(request, "integration")
    try:
        days = days_in(request.query)
    except NoSuchDays as mistake:
        return await _page(request, 400, f"No file was made: {mistake}.")
    selection = ActSelection(integration or None, days.since_ms, days.until_ms)
    secret = context.settings.receipts_secret.get_secret_value().encode()
    lines = await context.query(_export, selection, context.now_ms(), secret)
    if lines is None:
        return await _page(
            request,
            400,
            f"These are more than {MOST_EXPORTED} acts: choose fewer days, or make the file by "
            "consent-worker receipts export FILE --acts.",
        )
    trail = request.app[LETTERS].trail
    about = f"the acts {days.words}"
    if integration:
        about += f" about {words_of_integration(integration)}"
    trail.note(trail.act_of(request[SESSION], "exported", about=about))
    return await send_lines(request, f"consent-acts-{days.file_part}.jsonl", in_portions(lines))


async def _page(request: web.Request, status: int = 200, mistake: str = "") -> web.Response:
    wanted = _wanted(request)
    context, beat = request.app[CONTEXT], request[BEAT]
    acts = await context.query(told_acts, wanted)
    counts = await context.query(act_counts)
    shown = {one.begun.id for one in acts.acts}
    checked = await context.query(checked_acts, shown, keyring_of(context.settings))
    findings = [] if beat.told is None else beat.told.findings
    return render(
        request,
        "trail.html",
        status,
        mistake=mistake,
        wanted=wanted,
        acts=acts.acts,
        checked=checked,
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
        days={name: request.query.get(name, "")[:_MOST_TEXT] for name in ("from", "to")},
        waiting=request.app[LETTERS].trail.waiting,
        running=request.app[LETTERS].acts.running,
    )


def _export(
    connection: Connection, selection: ActSelection, now_ms: int, secret: bytes
) -> list[bytes] | None:
    """None where there are too many."""
    if len(chosen_acts(connection, selection)) > MOST_EXPORTED:
        return None
    return [orjson.dumps(line) for line in export_acts(connection, selection, now_ms, secret)]


def _wanted(request: web.Request) -> ActsWanted:
    said = {name: _text(request, name) for name in ("name", "who", "integration")}
    before = request.query.get("before", "")
    if said["name"] and said["name"] not in _NAMES:
        raise web.HTTPBadRequest
    if before and not (before.isascii() and before.isdigit() and len(before) < 16):
        raise web.HTTPBadRequest
    return ActsWanted(**said, before=int(before) if before else None)


def _text(request: web.Request, name: str) -> str:
    text = request.query.get(name, "")
    if len(text) > _MOST_TEXT:
        raise web.HTTPBadRequest
    return text


def _link(wanted: ActsWanted, **changes: str) -> str:
    said = {"name": wanted.name, "who": wanted.who, "integration": wanted.integration} | changes
    query = urlencode({name: one for name, one in said.items() if one})
    return f"/trail?{query}" if query else "/trail"

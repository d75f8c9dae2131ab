"""Which events were given up, and what now? Groups of dead letters first, then letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from worker.console.context import CONTEXT, ConsoleContext
from worker.console.dead_letters.asked import Kind, Meant, Unclear, read_meant
from worker.console.dead_letters.inventory_reader import Looked
from worker.console.dead_letters.listed_letter import Inventory, ListedLetter, groups_of
from worker.console.dead_letters.parts import LETTERS
from worker.console.rendering import BEAT, render
from worker.reasons import NO_INTEGRATION
from worker.remedies import Advised, advised_act, meaning_of, remedy_for

AT_ONCE: Final = 50
_LOOK_SECONDS: Final = 2.0
"""A page waits so long for a pass over the letters; then it shows what was known before."""
_SPANS: Final = (("", "any time"), ("1h", "last hour"), ("24h", "last day"), ("7d", "last week"))
_CHOICES: Final[Sequence[tuple[Kind, str]]] = (
    ("withdrawn", "withdrawn"),
    ("given", "given"),
    ("other", "other"),
    ("unknown", "not known"),
)
_MOST_NAMED: Final = 6
_MOST_PAGE: Final = 100_000
PATH: Final = "/dead-letters"


def routes(_: ConsoleContext) -> list[web.RouteDef]:
    """The routes of the groups of dead letters, and of the letters of one or of all."""
    return [
        web.get(PATH, show_groups),
        web.get(f"{PATH}/letters", show_letters),
        web.get(f"{PATH}/groups/{{group}}", show_letters),
    ]


async def show_groups(request: web.Request) -> web.Response:
    """All groups of those dead letters that the filter lets through."""
    meant = meant_of(request)
    looked = await request.app[LETTERS].inventory.look(_LOOK_SECONDS)
    inventory = looked.inventory
    if inventory is None:
        return render(request, "dead_letters_unknown.html", **_shared(request, looked))
    now_ms = request.app[CONTEXT].now_ms()
    letters = inventory.chosen(meant, now_ms)
    groups = groups_of(inventory, letters)
    return render(
        request,
        "dead_letters.html",
        **_shared(request, looked),
        meant=meant,
        letters=len(letters),
        withdrawals=inventory.withdrawals(letters),
        groups=groups[:AT_ONCE],
        more_groups=max(0, len(groups) - AT_ONCE),
        filters=_filters(inventory, meant, PATH),
        remedy_for=remedy_for,
    )


async def show_letters(request: web.Request) -> web.Response:
    """The dead letters of a group, or all that the filter lets through, the newest first."""
    meant = meant_of(request)
    page = _page(request)
    looked = await request.app[LETTERS].inventory.look(_LOOK_SECONDS)
    inventory = looked.inventory
    if inventory is None:
        return render(request, "dead_letters_unknown.html", **_shared(request, looked))
    now_ms = request.app[CONTEXT].now_ms()
    letters = inventory.chosen(meant, now_ms)
    start = (page - 1) * AT_ONCE
    groups = groups_of(inventory, letters) if meant.group else []
    return render(
        request,
        "dead_letters_of_group.html",
        **_shared(request, looked),
        meant=meant,
        page=page,
        count=len(letters),
        withdrawals=inventory.withdrawals(letters),
        shown=[
            (one, inventory.life_of(one), inventory.life_key(one))
            for one in letters[start : start + AT_ONCE]
        ],
        more=len(letters) > start + AT_ONCE,
        group=groups[0] if groups else None,
        group_alone=Meant(group=meant.group),
        advised=_advised(letters),
        filters=_filters(inventory, meant, request.path),
        remedy_for=remedy_for,
        meaning_of=meaning_of,
    )


def _advised(letters: Sequence[ListedLetter]) -> Advised:
    """The act that is advised for all of these dead letters, "" where it is not one for all."""
    causes = {(one.letter.reason, one.letter.error) for one in letters}
    advised = {advised_act(reason, error) for reason, error in causes}
    return advised.pop() if len(advised) == 1 else ""


def meant_of(request: web.Request) -> Meant:
    """The filter of dead letters in the link. Raises HTTPBadRequest."""
    said = dict(request.query)
    if (group := request.match_info.get("group")) is not None:
        said["group"] = group
    try:
        return read_meant(said, request.query.getall("id", []))
    except Unclear:
        raise web.HTTPBadRequest from None


def _page(request: web.Request) -> int:
    text = request.query.get("page", "1")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= _MOST_PAGE:
        raise web.HTTPBadRequest
    return int(text)


def _shared(request: web.Request, looked: Looked) -> dict[str, Any]:
    acts = request.app[LETTERS].acts
    return {
        "looked": looked,
        "inventory": looked.inventory,
        "running": acts.running,
        "last": next(iter(acts.past), None),
        "no_integration": NO_INTEGRATION,
        "receipts_know": None if (beat := request[BEAT]).told is None else beat.letters,
    }


def _filters(
    inventory: Inventory, meant: Meant, path: str
) -> dict[str, Sequence[tuple[str, str, int | None, bool]]]:
    """Of each filter its links: word, address, how many, and whether it is in force."""
    letters = [one for one in inventory.letters if meant.group in ("", one.group)]
    kinds = Counter(inventory.life_of(one).choice or "unknown" for one in letters)
    filters: dict[str, Sequence[tuple[str, str, int | None, bool]]] = {
        "died": [
            (word, meant.link(path, since=since), None, meant.since == since)
            for since, word in _SPANS
        ],
        "choice": [
            ("all", meant.link(path, kind=""), None, meant.kind is None),
            *(
                (word, meant.link(path, kind=kind), kinds[kind], meant.kind == kind)
                for kind, word in _CHOICES
                if kinds[kind] or meant.kind == kind
            ),
        ],
    }
    if not meant.group:
        named = _integrations(letters, meant, path)
        filters = {"integration": named} | filters
    return filters


def _integrations(
    letters: Sequence[ListedLetter], meant: Meant, path: str
) -> list[tuple[str, str, int | None, bool]]:
    counted = Counter(one.letter.integration or NO_INTEGRATION for one in letters)
    named = [name for name, _ in counted.most_common(_MOST_NAMED)]
    if meant.integration and meant.integration not in named:
        named.append(meant.integration)
    links: list[tuple[str, str, int | None, bool]] = [
        ("all", meant.link(path, integration=""), len(letters), not meant.integration)
    ]
    for name in named:
        link = meant.link(path, integration=name)
        links.append((name, link, counted[name], meant.integration == name))
    return links

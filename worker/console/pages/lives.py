"""The life of one event at one integration, and its proof."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web
from sqlalchemy import Connection

from worker.console.access import goes_on_record
from worker.console.advice import advice_of_error
from worker.console.context import CONTEXT, ConsoleContext
from worker.console.dead_letters.listed_letter import Inventory, ListedLetter
from worker.console.dead_letters.parts import LETTERS
from worker.console.file_download import send_lines
from worker.console.fleet_lanes import LaneAtAll, lanes_of
from worker.console.life_file import life_file
from worker.console.rendering import BEAT, SESSION, render
from worker.console.told_life import held_until, tell_life
from worker.ledger.chain_places import ChainPlace, life_places
from worker.ledger.exporting import LifeSelection, life_selection
from worker.ledger.newer_choice import newer_choice
from worker.ledger.replay_prospects import Prospect, letter_lives
from worker.ledger.replayed_lives import all_deliveries, lives_after
from worker.ledger.stories import Story, find_life
from worker.remedies import advised_act

_KEY: Final = re.compile(r"[0-9a-f]{32}")


def routes(_: ConsoleContext) -> list[web.RouteDef]:
    """The routes of a life, and of the file for an auditor."""
    return [
        web.get("/lives/{life}", show),
        web.get("/lives/{life}/receipts.jsonl", export),
    ]


async def show(request: web.Request) -> web.Response:
    """The page of a life, step by step, with what to do and where it is proved."""
    context = request.app[CONTEXT]
    key = _key(request)
    found = await context.query(_life_and_places, key)
    if found is None:
        return render(request, "life_unknown.html", 404)
    story, places, replays, newer = found
    lane = _lane_in_trouble(request, story)
    looked = await request.app[LETTERS].inventory.look(0)
    letter = _letter(looked.inventory, key)
    return render(
        request,
        "life.html",
        story=story,
        life=tell_life(story, context.now_ms(), replays),
        next_life=replays[0] if replays else None,
        latest_life=replays[-1] if replays else None,
        key=key.hex(),
        places=places,
        newer=newer,
        lane=lane,
        held_until=held_until(story),
        advice=""
        if lane is None or lane.state != "blocked"
        else advice_of_error(
            lane.error, story.integration, context.integrations.file_of(story.integration)
        ),
        letter=letter,
        advised="" if letter is None else advised_act(letter.letter.reason, letter.letter.error),
        prospect=await context.query(_prospect, key)
        if story.outcome == "dead" and not replays
        else "unknown",
        receipts=len(story.steps),
    )


@goes_on_record
async def export(request: web.Request) -> web.StreamResponse:
    """The receipts of this life, of the deliveries before it and of its replays, with their places
    in the chains, and how to check them.
    """
    context = request.app[CONTEXT]
    key = _key(request)
    selection = await context.query(_selection, key)
    if selection is None:
        raise web.HTTPNotFound
    trail = request.app[LETTERS].trail
    trail.note(trail.act_of(request[SESSION], "exported", about=f"the receipts of {key.hex()}"))
    return await send_lines(
        request, f"consent-receipts-{key.hex()[:12]}.jsonl", life_file(context, selection)
    )


def _key(request: web.Request) -> bytes:
    text = request.match_info["life"]
    if not _KEY.fullmatch(text):
        raise web.HTTPNotFound
    return bytes.fromhex(text)


def _life_and_places(
    connection: Connection, key: bytes
) -> tuple[Story, list[ChainPlace], list[Story], Story | None] | None:
    story = find_life(connection, key)
    if story is None:
        return None
    places = life_places(connection, story.steps)
    return story, places, lives_after(connection, story), newer_choice(connection, story)


def _prospect(connection: Connection, key: bytes) -> Prospect:
    """What a replay of this life's dead letter would come to."""
    known = letter_lives(connection, {key}).get(key)
    return "unknown" if known is None else known.prospect


def _selection(connection: Connection, key: bytes) -> LifeSelection | None:
    story = find_life(connection, key)
    if story is None or not story.steps:
        return None
    steps = [step for one in all_deliveries(connection, story) for step in one.steps]
    return life_selection(connection, key, steps)


def _lane_in_trouble(request: web.Request, story: Story) -> LaneAtAll | None:
    """That of a life that waits, where its integration is in trouble now."""
    told = request[BEAT].told
    lane = None if told is None or not story.is_waiting else lanes_of(told).get(story.integration)
    return lane if lane is not None and lane.state in ("blocked", "failing") else None


def _letter(inventory: Inventory | None, key: bytes) -> ListedLetter | None:
    """The dead letter that this life has ended as, if it is in the queue by what is known."""
    if inventory is None:
        return None
    return next((one for one in inventory.letters if inventory.life_key(one) == key), None)

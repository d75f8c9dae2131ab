"""The page of the keyboard's keys, and of words that pages use."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from worker.console.context import ConsoleContext
from worker.console.rendering import render

WORDS: Final = (
    (
        "receipt",
        "What became of one delivery, on record in a stream before its event is acknowledged.",
    ),
    (
        "ledger",
        "The file into which the stream of the receipts is read; the console shows what it has.",
    ),
    ("begun", "In the sum of the overview: of an event of which there is a receipt of a worker."),
    ("honoured", "Of a choice when Adobe has accepted it."),
    (
        "parked",
        "Put into the delay without an attempt, for a reason with a code. It comes back by itself.",
    ),
    (
        "superseded",
        "Of an event when Adobe has something newer for each of its attributes. It is skipped.",
    ),
    (
        "dead letter",
        "An event that was given up, with the reason in its headers. It stays until an operator "
        "replays, discards or erases it.",
    ),
    (
        "canary",
        "One of the dead letters that a replay sends first. The others wait for what becomes of "
        "it.",
    ),
    (
        "lane",
        "What a worker has of one integration: its waiting events, its requests, and what is known "
        "of its endpoint.",
    ),
)
"""As the glossary of `docs/architecture.md` has them; but for "begun", which it has of a worker."""


def routes(_: ConsoleContext) -> list[web.RouteDef]:
    """The route of the page of the keyboard's keys."""
    return [web.get("/keys", show)]


async def show(request: web.Request) -> web.Response:
    """All keys of the keyboard; none acts at once, and each has a visible control."""
    return render(request, "keys.html", words=WORDS)

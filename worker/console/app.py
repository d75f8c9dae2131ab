"""The console as an aiohttp application."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from worker.console import static_files
from worker.console.context import CONTEXT, ConsoleContext
from worker.console.dead_letters.parts import LETTERS, build_letters, close_letters
from worker.console.explaining_turns import ExplainingTurns
from worker.console.followers import Followers
from worker.console.guard import TOLD, add_headers, let_in, tell_trouble
from worker.console.pages import (
    dead_letter,
    dead_letters,
    explaining,
    find,
    integration,
    integrations,
    keys,
    letter_act,
    letter_acts,
    lives,
    overview,
    pulse_stream,
    signing_in,
    trail,
)
from worker.console.request_times import CONNECTIONS, Connections, count_line
from worker.serving.rarely_told import RarelyTold

MOST_BODY_BYTES: Final = 4 * 2**20
"""An event has 1 MiB at most, and a form writes most characters that are no letters as three."""
_PAGES: Final = (
    signing_in,
    overview,
    integrations,
    integration,
    keys,
    pulse_stream,
    find,
    lives,
    dead_letters,
    letter_acts,
    letter_act,
    dead_letter,
    explaining,
    trail,
)


def build_app(context: ConsoleContext) -> web.Application:
    """The console's application with all pages."""
    app = web.Application(
        client_max_size=MOST_BODY_BYTES, middlewares=[count_line, tell_trouble, let_in]
    )
    app[CONTEXT] = context
    app[CONNECTIONS] = Connections()
    app[TOLD] = RarelyTold()
    app[LETTERS] = build_letters(context)
    app.on_cleanup.append(close_letters)
    app[explaining.TURNS] = ExplainingTurns()
    app.on_cleanup.append(explaining.close)
    app[pulse_stream.FOLLOWERS] = Followers()
    app.add_routes(static_files.routes())
    for page in _PAGES:
        app.add_routes(page.routes(context))
    app.on_response_prepare.append(add_headers)
    return app

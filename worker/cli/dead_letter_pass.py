"""The desk of a command that works on the dead letters: a signal stops it, and a bar shows how far
it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from worker.cli.command_support import command_settings, complain
from worker.cli.terminal import progress
from worker.interrupt import stoppable
from worker.letters.letter_desk import LetterDesk, Pass, open_desk


@asynccontextmanager
async def letter_desk(so_far: Callable[[], str]) -> AsyncIterator[LetterDesk]:
    """The desk of a command for work on dead letters, see `open_desk`. Raises `BrokerAway`."""
    settings = command_settings()
    async with open_desk(settings, stoppable(), complain, so_far, progress) as desk:
        yield desk


@asynccontextmanager
async def one_pass(
    verb: str, *, bar: bool = True, so_far: Callable[[], str] = lambda: ""
) -> AsyncIterator[Pass]:
    """The one pass over the dead letters of a command that needs no more. Raises `BrokerAway`."""
    async with letter_desk(so_far) as desk, desk.one_pass(verb, bar=bar) as run:
        yield run

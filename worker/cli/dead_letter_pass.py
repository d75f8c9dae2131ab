"""One pass over the dead-letter queue, which every command on dead letters makes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from worker.broker.dead_letter_queue import DeadLetters
from worker.broker.letter_selection import Filter
from worker.broker.topology import Names
from worker.cli.command_support import alone, broker_connection, command_settings
from worker.cli.interrupt import Stop, stoppable
from worker.cli.letter_events import LetterEvent, OpenedLetter, open_letter
from worker.cli.terminal import progress

_READERS: Final = 8


@dataclass(slots=True)
class Pass:
    """One pass over the dead letters that were there at its start, and how far it came."""

    letters: DeadLetters
    total: int
    stop: Stop
    advance: Callable[[], None]

    async def matching(self, chosen: Filter) -> AsyncIterator[OpenedLetter]:
        """Those with an event that is chosen, until the command is asked to stop."""

        def is_meant(event: LetterEvent) -> bool:
            return chosen.matches(event.letter, int(time.time() * 1000))

        async for message in self.letters.read(self.total):
            opened = open_letter(message, is_meant)
            if opened.chosen:
                yield opened
            self.advance()
            if self.stop.is_asked:
                return


@asynccontextmanager
async def one_pass(
    verb: str, *, bar: bool = True, so_far: Callable[[], str] = lambda: ""
) -> AsyncIterator[Pass]:
    """A pass that gives back what it did not settle, while no other command works on the dead
    letters: what one holds the other can't see. Raises `BrokerAway`.
    """
    settings = command_settings()
    names = Names(settings.namespace)
    async with broker_connection(settings, "dead-letters", so_far) as connection:
        reading = [await connection.channel(publisher_confirms=False) for _ in range(_READERS)]
        publishing = await connection.channel(publisher_confirms=True, on_return_raises=True)
        letters = DeadLetters(reading, publishing, names)
        with stoppable() as stop:
            async with alone(connection, names.dead_letters_lock, stop):
                total = await letters.count()
                with progress(verb, total, wanted=bar) as advance:
                    yield Pass(letters, total, stop, advance)
                await letters.give_back()

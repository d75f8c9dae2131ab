"""Passes over the dead-letter queue, which every command on dead letters makes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Final, TypeVar

from worker.broker.dead_letter_queue import DeadLetters
from worker.broker.held_letters import HeldLetter
from worker.broker.letter_filter import Filter
from worker.broker.topology import Names
from worker.cli.broker_access import alone, broker_connection
from worker.cli.command_support import command_settings
from worker.cli.interrupt import Stop, stoppable
from worker.cli.letter_events import OpenedLetter, open_letter
from worker.cli.terminal import progress
from worker.settings import WorkerSettings
from worker.wire.message_tap import TappedTransport

T = TypeVar("T")

_MOST_INTEGRATIONS: Final = 10_000
"""Whose ids are kept for a did-you-mean: whoever may publish letters may write any."""


@dataclass(slots=True)
class Pass:
    """One pass over the dead letters that were there at its start, and how far it came."""

    letters: DeadLetters
    total: int
    stop: Stop
    advance: Callable[[], None]
    integrations: set[str] = field(default_factory=set)
    """Those that the letters it has seen are of."""

    async def matching(
        self, chosen: Filter, taken: Callable[[OpenedLetter], T | None]
    ) -> AsyncIterator[T]:
        """What `taken` makes of each letter with an event that is chosen, None left out, until the
        command is asked to stop. A body that it does not hand on is let go.
        """

        def take(message: HeldLetter) -> T | None:
            self.advance()
            opened = open_letter(message, lambda event: event.is_meant_by(chosen))
            self._note(opened)
            return taken(opened) if opened.chosen else None

        async for one in self.letters.read(self.total, take, lambda: self.stop.is_asked):
            yield one
            if self.stop.is_asked:
                return

    def _note(self, opened: OpenedLetter) -> None:
        for event in (*opened.chosen[:1], *opened.others[:1]):
            if event.letter.integration and len(self.integrations) < _MOST_INTEGRATIONS:
                self.integrations.add(event.letter.integration)


@dataclass(frozen=True, slots=True)
class LetterDesk:
    """Where a command works on the dead letters while no other one does."""

    letters: DeadLetters
    stop: Stop

    @asynccontextmanager
    async def one_pass(
        self, verb: str, *, bar: bool = True, most: int | None = None
    ) -> AsyncIterator[Pass]:
        """A pass over the letters that are there, or the first `most`, that gives back what it did
        not settle.
        """
        total = await self.letters.count()
        total = total if most is None else min(total, most)
        with progress(verb, total, wanted=bar) as advance:
            yield Pass(self.letters, total, self.stop, advance)
        await self.letters.give_back()


@asynccontextmanager
async def letter_desk(
    so_far: Callable[[], str] = lambda: "",
    settings: WorkerSettings | None = None,
    stop: Stop | None = None,
) -> AsyncIterator[LetterDesk]:
    """A desk, once no other command is at work: what one holds the other can't see. `so_far` tells
    what the command has done when the broker is lost. Who listens to signals by itself gives its
    `stop`. Raises `BrokerAway`.
    """
    settings = settings or command_settings()
    names = Names(settings.namespace)
    transport = TappedTransport()
    async with broker_connection(settings, "dead-letters", so_far, transport) as connection:
        publishing = await connection.channel(publisher_confirms=True, on_return_raises=True)
        letters = DeadLetters(connection, transport, publishing, names)
        with nullcontext(stop) if stop is not None else stoppable() as asked:
            async with alone(connection, names.dead_letters_lock, asked):
                yield LetterDesk(letters, asked)


@asynccontextmanager
async def one_pass(
    verb: str, *, bar: bool = True, so_far: Callable[[], str] = lambda: ""
) -> AsyncIterator[Pass]:
    """The one pass of a command that needs no more. Raises `BrokerAway`."""
    async with letter_desk(so_far) as desk, desk.one_pass(verb, bar=bar) as run:
        yield run

"""Passes over the dead-letter queue, which whoever works on dead letters makes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from worker.broker.broker_access import alone, broker_connection
from worker.broker.dead_letter_queue import DeadLetters
from worker.broker.held_letters import HeldLetter
from worker.broker.letter_filter import Filter
from worker.broker.queue_names import Names
from worker.interrupt import Stop
from worker.letters.letter_events import LetterEvent, OpenedLetter, open_letter
from worker.letters.letter_key import LetterKeys
from worker.settings import WorkerSettings
from worker.wire.message_tap import TappedTransport

T = TypeVar("T")

Advance = Callable[[], None]
NewBar = Callable[[str, int], AbstractContextManager[Advance]]
"""Of a verb and a number of letters: gives what is to be called after each letter."""

_MOST_INTEGRATIONS: Final = 10_000
"""Whose ids are kept for a did-you-mean: whoever may publish letters may write any."""


def no_bar(verb: str, total: int) -> AbstractContextManager[Advance]:
    """Shows no progress of a pass."""
    return nullcontext(lambda: None)


@dataclass(slots=True)
class Pass:
    """One pass over the dead letters that were there at its start, and how far it came; `keys` tell
    what their events are called.
    """

    letters: DeadLetters
    total: int
    stop: Stop
    advance: Advance
    keys: Callable[[], LetterKeys]
    integrations: set[str] = field(default_factory=set)
    """Those that the letters it has seen are of."""

    async def matching(
        self,
        chosen: Filter,
        taken: Callable[[OpenedLetter], T | None],
        is_meant: Callable[[LetterEvent], bool] = lambda event: True,
    ) -> AsyncIterator[T]:
        """What `taken` makes of each letter with an event that is `chosen`, and for which
        `is_meant`, None left out, until somebody asks to stop. A body that it does not hand on is
        let go.
        """
        keys = self.keys() if chosen.event is not None else None

        def is_chosen(event: LetterEvent) -> bool:
            if not chosen.matches(event.letter):
                return False
            return (keys is None or chosen.event in keys.ids_of(event.body)) and is_meant(event)

        def take(message: HeldLetter) -> T | None:
            self.advance()
            opened = open_letter(message, is_chosen)
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
    """Where somebody works on the dead letters while nobody else does."""

    letters: DeadLetters
    stop: Stop
    keys: Callable[[], LetterKeys]
    new_bar: NewBar = no_bar

    @asynccontextmanager
    async def one_pass(
        self, verb: str, *, bar: bool = True, most: int | None = None
    ) -> AsyncIterator[Pass]:
        """A pass over the dead letters that are there, or the first `most`, that gives back what it
        did not settle.
        """
        total = await self.letters.count()
        total = total if most is None else min(total, most)
        with (self.new_bar if bar else no_bar)(verb, total) as advance:
            yield Pass(self.letters, total, self.stop, advance, self.keys)
        await self.letters.give_back()


@asynccontextmanager
async def open_desk(
    settings: WorkerSettings,
    stopping: AbstractContextManager[Stop],
    tell: Callable[[str], None],
    so_far: Callable[[], str] = lambda: "",
    new_bar: NewBar = no_bar,
) -> AsyncIterator[LetterDesk]:
    """A desk for the dead letters, once nobody else is at work: what one holds the other can't see.
    `tell` is given a sentence where it has to wait, `so_far` tells what was done when the broker is
    lost. `stopping` is entered once there is a connection. Raises `BrokerAway`.
    """
    names = Names(settings.namespace)
    transport = TappedTransport()
    async with broker_connection(settings, "dead-letters", so_far, transport) as connection:
        publishing = await connection.channel(publisher_confirms=True, on_return_raises=True)
        letters = DeadLetters(connection, transport, publishing, names)
        with stopping as stop:
            async with alone(connection, names.dead_letters_lock, stop, tell):
                yield LetterDesk(letters, stop, partial(_keys_of, settings), new_bar)


def _keys_of(settings: WorkerSettings) -> LetterKeys:
    # Where somebody asks for an event: its libraries take longer to import than a list takes.
    from worker.store_choice import user_keys  # noqa: PLC0415

    return LetterKeys(user_keys(settings))

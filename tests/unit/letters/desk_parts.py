"""A desk with letters of its own, on which a replay or a discard works without a broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from tests.unit.ledger.test_known_letters import letter
from worker.interrupt import Stop
from worker.letters.letter_events import LetterEvent, OpenedLetter

_MOST_PASSES = 1_000


@dataclass(slots=True)
class Message:
    """A message of the queue, as far as the work on it looks at it."""

    body: bytes = b"{}"
    headers: Mapping[str, Any] = field(default_factory=dict)


def opened_letter(*numbers: int, body: bytes = b"{}") -> OpenedLetter:
    """A letter with these events."""
    events = [LetterEvent(letter(n), {}, b'{"id": "ev-%d"}' % n) for n in numbers]
    return OpenedLetter(cast(Any, Message(body)), events)


class Desk:
    """Has `letters` until the broker has heard that they are gone. `stuck` ones can't be taken off;
    while `is_cut` nothing that was acknowledged gets to the broker. `held` are the times at which
    each pass took its letters and gave them back.
    """

    def __init__(self, *letters: OpenedLetter, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.there = list(letters)
        self.stuck: list[OpenedLetter] = []
        self.is_cut = False
        self.stop = Stop()
        self.held: list[tuple[float, float]] = []
        self.total = 0
        self._clock = clock
        self._on_the_line: list[Any] = []

    # As the desk

    @asynccontextmanager
    async def one_pass(self, verb: str, most: int | None = None) -> AsyncIterator[Desk]:
        """Over the first letters; what a lost line has kept back is there again with the next."""
        assert len(self.held) < _MOST_PASSES, "passes without an end"
        self._on_the_line.clear()
        self.total = len(self.there) if most is None else min(most, len(self.there))
        began_at = self._clock()
        yield self
        self.held.append((began_at, self._clock()))
        self._let_go()

    # As the pass

    @property
    def letters(self) -> Desk:
        return self

    async def matching(
        self, chosen: object, taken: Callable[[OpenedLetter], Any], is_meant: object
    ) -> AsyncIterator[Any]:
        """What `taken` makes of them, one at a time as they come."""
        for one in self.there[: self.total]:
            await asyncio.sleep(0)
            if self.stop.is_asked:
                return
            if (found := taken(one)) is not None:
                yield found

    # As the letters

    async def discard(self, message: Any) -> None:
        if any(message is one.message for one in self.stuck):
            raise ValueError("a letter that nobody can open")
        self._on_the_line.append(message)

    async def replay(self, message: Any, max_event_bytes: int, epoch: str | None) -> None:
        self._on_the_line.append(message)

    async def take_in(self) -> None:
        if self.is_cut:
            raise ConnectionResetError
        self._let_go()

    def listen(self, take: Callable[[Any], None]) -> None:
        """No canary comes back."""

    async def keep_room(self) -> None:
        if self.is_cut:
            raise ConnectionResetError

    async def waiting_in(self, queue: str) -> int:
        return 0

    def replayed_to(self, message: Any) -> str:
        return "retries"

    def _let_go(self) -> None:
        self.there = [one for one in self.there if not _is_among(one, self._on_the_line)]
        self._on_the_line.clear()


def _is_among(opened: OpenedLetter, messages: list[Any]) -> bool:
    return any(opened.message is one for one in messages)

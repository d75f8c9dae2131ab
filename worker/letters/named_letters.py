"""Names on record which letters a discard takes: before they go, and once they are gone. Whoever
finds a discard without an end knows by it what is gone, and what may be.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Protocol

from worker.evidence.act import MOST_LIVES, Act, ActStage
from worker.letters.letter_events import OpenedLetter
from worker.letters.letter_key import LetterKeys


class WriteActs(Protocol):
    """Puts acts on record in one message. Raises `TrailAway`."""

    def __call__(self, *acts: Act) -> Awaitable[None]: ...


class NamedLetters:
    """The letters of one discard, named by the keys of their lives. `act_at` is the act as it is at
    a stage.
    """

    def __init__(
        self, keys: LetterKeys, act_at: Callable[[ActStage], Act], write: WriteActs
    ) -> None:
        self._keys = keys
        self._act_at = act_at
        self._write = write
        self._going: set[str] = set()
        self._untold: list[str] = []
        self._gone = 0

    async def go_next(self, letters: Sequence[OpenedLetter]) -> None:
        """Put on record that these letters go next, and which are gone since the last time. Raises
        `TrailAway`: then they must stay.
        """
        going = [key for one in letters for key in self._keys_of(one)]
        counts = {"discarded": self._gone, "going": len(self._going.union(going))}
        told = len(self._untold)
        await self._write(*self.parts(), *self._acts("going", going, counts))
        del self._untold[:told]
        self._going.update(going)

    def note_gone(self, opened: OpenedLetter) -> None:
        """A letter was just discarded."""
        keys = self._keys_of(opened)
        self._going.difference_update(keys)
        self._untold += keys
        self._gone += len(keys)

    def note_kept(self, opened: OpenedLetter) -> None:
        """A letter could not be discarded and stays: it is in doubt no more."""
        self._going.difference_update(self._keys_of(opened))

    def parts(self) -> list[Act]:
        """Letters that are gone, and not on record as such: they go there with the act's end."""
        return list(self._acts("part", self._untold, {}))

    def _keys_of(self, opened: OpenedLetter) -> list[str]:
        return [self._keys.key_of(one).hex() for one in opened.chosen]

    def _acts(
        self, stage: ActStage, keys: Sequence[str], counts: Mapping[str, int]
    ) -> Iterator[Act]:
        act = self._act_at(stage)
        for start in range(0, len(keys), MOST_LIVES):
            yield act._replace(counts=counts, lives=keys[start : start + MOST_LIVES])

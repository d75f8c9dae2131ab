"""Dead letters of one cause, counted together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from worker.broker.dead_letter import DeadLetter, fingerprint_of
from worker.evidence.letter_cause import Fingerprint

_MOST_GROUPS: Final = 10_000
"""Whoever may publish letters may name any integration in each."""


@dataclass(slots=True)
class LetterGroup:
    """How many dead letters have one fingerprint, and when the first and the last of them died, in
    ms since 1970, None where none says it.
    """

    count: int = 0
    first_ms: int | None = None
    last_ms: int | None = None

    def add(self, dead_at_ms: int | None) -> None:
        """One more letter of the group."""
        self.count += 1
        if dead_at_ms is not None:
            self.first_ms = dead_at_ms if self.first_ms is None else min(self.first_ms, dead_at_ms)
            self.last_ms = dead_at_ms if self.last_ms is None else max(self.last_ms, dead_at_ms)


class LetterGroups:
    """The groups of dead letters, of which there are not too many; `ungrouped` ones are in none."""

    def __init__(self) -> None:
        self._groups: dict[Fingerprint, LetterGroup] = {}
        self.ungrouped = 0

    def add(self, letters: Iterable[DeadLetter]) -> None:
        """Count some more letters in their groups."""
        for letter in letters:
            fingerprint = fingerprint_of(letter)
            group = self._groups.get(fingerprint)
            if group is None:
                if len(self._groups) >= _MOST_GROUPS:
                    self.ungrouped += 1
                    continue
                group = self._groups[fingerprint] = LetterGroup()
            group.add(letter.dead_at_ms)

    def largest_first(self) -> list[tuple[Fingerprint, LetterGroup]]:
        """All groups of letters, the largest first."""
        return sorted(self._groups.items(), key=lambda one: (-one[1].count, one[0].group))

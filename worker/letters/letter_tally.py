"""What a replay or discard of dead letters came to so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from worker.letters.canary import CanaryVerdict
from worker.letters.letter_events import OpenedLetter

_NAMED_AT_MOST: Final = 20


@dataclass(slots=True)
class Tally:
    """What became of the chosen letters; `kept` names some of those not handled, and why."""

    matched: int = 0
    handled: int = 0
    kept_count: int = 0
    kept: list[tuple[str, str]] = field(default_factory=list)
    verdict: CanaryVerdict | None = None

    def keep(self, opened: OpenedLetter, reason: str) -> None:
        """Count a letter that was not handled."""
        self.kept_count += len(opened.chosen)
        for event in opened.chosen[: _NAMED_AT_MOST - len(self.kept)]:
            self.kept.append((event.letter.id, reason))

    def begin_pass(self) -> None:
        """Letters that were matched before and not handled are met again."""
        self.matched = self.handled
        self.kept_count = 0
        self.kept.clear()

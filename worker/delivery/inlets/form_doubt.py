"""Whether an inlet that refuses the form of its kind still is of the kind that was told. Pure."""

from __future__ import annotations

from typing import Final

LONGEST_SECONDS: Final = 300.0
"""How long messages wait for Adobe to be asked again, as for the first question."""
_SETTLED_SECONDS: Final = 60.0
"""For how long it is the message that is refused, once Adobe has told the same again: each that
waited comes back within that."""


class Doubt:
    """Of one integration. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._began_at: float | None = None
        self._is_answered = False
        self._settled_until = 0.0

    def refused(self, now: float) -> bool:
        """Adobe refuses the form; says whether the message has to wait for a new answer."""
        if now < self._settled_until:
            return False
        if self._began_at is None:
            self._began_at, self._is_answered = now, False
        if self._is_answered or now >= self._began_at + LONGEST_SECONDS:
            self._began_at, self._settled_until = None, now + _SETTLED_SECONDS
            return False
        return True

    def answered(self) -> None:
        """Adobe has told the kind once more."""
        self._is_answered = True

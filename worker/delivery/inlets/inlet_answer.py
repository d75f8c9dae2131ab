"""What is known of one inlet, as the store keeps it, and whether one that refuses the form of its
kind still is of that kind. Pure.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, cast

from worker.integrations.model import WrittenMode

Told = WrittenMode | Literal["untold", "asked"]
"""The mode that fits the inlet; `untold`: Adobe does not tell it this credential; `asked`: nothing
is known but since when Adobe is being asked."""
_TEXT: Final = re.compile(r"(upsert|xdm|untold|asked) ([0-9]{1,16}) ([0-9a-f]{16})")


class Answer(NamedTuple):
    """What is known of the kind of one inlet. `at_ms` is when it was had (ms since 1970), `inlet`
    the digest of what it is about: another inlet makes it void.
    """

    told: Told
    at_ms: int
    inlet: str

    def encode(self) -> str:
        return f"{self.told} {self.at_ms} {self.inlet}"

    @classmethod
    def decode(cls, text: str) -> Answer | None:
        """The answer about an inlet that a text of the store has; None for what is none of ours."""
        found = _TEXT.fullmatch(text)
        if found is None:
            return None
        told, at_ms, inlet = found.groups()
        return cls(cast(Told, told), int(at_ms), inlet)


LONGEST_SECONDS: Final = 300.0
"""How long messages wait for Adobe to be asked again, as for the first question."""
_SETTLED_SECONDS: Final = 60.0
"""For how long it is the message that is refused, once Adobe has told the same again: each that
waited comes back within that."""


class Doubt:
    """Whether an inlet may have changed its kind. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._began_at: float | None = None
        self._is_answered = False
        self._settled_until = 0.0

    def refused(self, now: float) -> bool:
        """Adobe refuses a form; says whether the message waits for a new answer about the inlet."""
        if now < self._settled_until:
            return False
        if self._began_at is None:
            self._began_at, self._is_answered = now, False
        if self._is_answered or now >= self._began_at + LONGEST_SECONDS:
            self._began_at, self._settled_until = None, now + _SETTLED_SECONDS
            return False
        return True

    def answered(self) -> None:
        """Adobe has told the kind of the inlet once more."""
        self._is_answered = True

"""What a fold makes of each event. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Verdict(Enum):
    """What a fold makes of one event."""

    CONTRIBUTES = "contributes"
    """At least one attribute of the message is its own: its outcome is the message's."""
    YIELDS = "yields"
    """None is, because of something newer in the message: superseded once that is accepted."""
    EMPTIES = "empties"
    """All that is its own takes choices back in silence: remembered once there is no message, or
    that is accepted."""
    UNDOES = "undoes"
    """A snapshot that Adobe may have, though a newer one speaks: the message takes back what it had
    said. It is superseded once that is accepted."""
    FOLLOWS = "follows"
    """It is a copy of what is in the message: a duplicate once that is accepted."""
    SUPERSEDED = "superseded"
    """Adobe has accepted something newer for every attribute: may be skipped at once."""
    DUPLICATE = "duplicate"
    """It is itself what Adobe has accepted: may be skipped at once."""
    SAYS_NOTHING = "says nothing"
    """It would take choices back of somebody of whom nothing is known: remembered once there is no
    message, or that is accepted, so that an older one that comes late is superseded."""

    @property
    def awaits_message(self) -> bool:
        """Whether the event must not be acknowledged before the message is accepted.

        If the message fails, an event that yields or follows may be the newest that there is, so it
        must go the way of a failure too, and be folded again.
        """
        return self not in _AT_ONCE

    @property
    def without_message(self) -> Verdict:
        """What the verdict comes to where nothing is sent that could be awaited."""
        return _WITHOUT_MESSAGE.get(self, self)

    @property
    def with_message(self) -> Verdict:
        """What the verdict comes to where the event has something to be remembered with the
        message.
        """
        return _WITH_MESSAGE.get(self, self)


_AT_ONCE: Final = frozenset({Verdict.SUPERSEDED, Verdict.DUPLICATE})
_WITHOUT_MESSAGE: Final = {
    Verdict.YIELDS: Verdict.SUPERSEDED,
    Verdict.FOLLOWS: Verdict.DUPLICATE,
}
_WITH_MESSAGE: Final = {one: other for other, one in _WITHOUT_MESSAGE.items()}

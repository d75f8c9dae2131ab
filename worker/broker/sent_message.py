"""What a publisher knows of a message that is not confirmed."""

from __future__ import annotations

from typing import Final

from worker.broker.publishing_connection import PublishingConnection
from worker.wire.confirms import REFUSED

FIRST_PAUSE_SECONDS: Final = 0.25
LONGEST_PAUSE_SECONDS: Final = 10.0
"""Between two tries, of a message as of a connection."""


def next_pause(seconds: float) -> float:
    """The pause after one of so many seconds, 0 for none: twice as long, within bounds."""
    return min(max(seconds * 2, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)


class Sent:
    """It was written on `connection`, if any, and is waited for until `give_up_at`. A `problem`
    says why the broker did not take it, and `refused_at` since when it is refused; it is not to be
    tried again `not_before` a time.
    """

    __slots__ = ("connection", "give_up_at", "not_before", "pause", "problem", "refused_at")

    def __init__(self) -> None:
        self.connection: PublishingConnection | None = None
        self.give_up_at = self.not_before = 0.0
        self.pause = FIRST_PAUSE_SECONDS
        self.problem = ""
        self.refused_at: float | None = None

    def not_taken(self, problem: str, now: float) -> None:
        """The broker has answered that it does not have the message; `now` is in seconds."""
        self.problem = problem
        self.connection = None
        self.not_before = now + self.pause * 0.99  # the clock of timers is a little coarser
        self.pause = next_pause(self.pause)
        if problem == REFUSED and self.refused_at is None:
            self.refused_at = now

"""A connection in whose place another one is, while events that were sent on it are unconfirmed."""

from __future__ import annotations

from collections.abc import Callable

from worker.broker.publishing_connection import PublishingConnection
from worker.door.sent_events import SentEvents


class RetiredConnection:
    """A replaced connection; waits until `ends_at`, a time of the loop, for what of `sent` is
    unconfirmed now.
    """

    def __init__(self, connection: PublishingConnection, sent: SentEvents, ends_at: float) -> None:
        self._connection = connection
        self._sent = sent
        self._waits_for = sent.unconfirmed
        self._ends_at = ends_at
        connection.alarm_changed = _nothing

    def is_over(self, now: float) -> bool:
        """Whether the replaced connection has nothing more to wait for."""
        while self._waits_for and not self._sent.has(self._waits_for[-1]):
            self._waits_for.pop()
        return not self._waits_for or now >= self._ends_at

    def let_go(self, close_soon: Callable[[PublishingConnection], None]) -> None:
        """Let go of the replaced connection, and of what it did not confirm."""
        self._connection.channel.answered = lambda one, problem: None
        self._sent.lost(self._waits_for)
        close_soon(self._connection)


def _nothing() -> None:
    pass

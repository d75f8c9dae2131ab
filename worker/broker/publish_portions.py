"""How many messages may be unconfirmed on one connection, after connections were lost with some.

A message for which the broker ends the connection would end each one after it, too, with all that
goes by it. So after such an end few are sent at once, and twice as many with all that are
confirmed. What was the only one at the end of two connections is set aside: it is tried again later
and alone, and the others go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from worker.wire.confirms import Outgoing

log = structlog.get_logger(__name__)

_SHARE: Final = 8
"""A guilty one of 500 is found at the end of the fourth connection."""
_FREE_ABOVE: Final = 1024
"""So many at once show that the broker takes what it is sent."""
_FIRST_ASIDE_SECONDS: Final = 1.0
"""Short: the connection may have been lost for another reason."""
_LONGEST_ASIDE_SECONDS: Final = 600.0
_BETWEEN_TRIES_SECONDS: Final = 5.0
"""Each try of a guilty one costs all others the opening of a connection."""
_GUILTY_SECONDS: Final = 4.0
"""A message that is to be set aside for so long has ended four connections alone."""
_NEVER: Final = (0.0, 0.0)


class Portions:
    """Admits messages to a connection; times are those of the loop, in seconds."""

    def __init__(self) -> None:
        self._most: int | None = None
        self._aside: dict[Outgoing, tuple[float, float]] = {}  # from when on, and its pause
        self._alone: Outgoing | None = None
        self._waiting: Outgoing | None = None
        self._tried_at = 0.0

    @property
    def is_bounded(self) -> bool:
        """Whether an answer of the broker may make room for messages that are held back."""
        return self._most is not None or self._alone is not None or self._waiting is not None

    @property
    def has_set_aside(self) -> bool:
        """Whether a message waits until it is tried again."""
        return bool(self._aside)

    def problem_of(self, one: Outgoing) -> str:
        """What is wrong with a message that is set aside again and again; "" with others."""
        _, pause = self._aside.get(one, _NEVER)
        return "set aside, as the broker ends the connection" if pause >= _GUILTY_SECONDS else ""

    def admits(self, one: Outgoing, in_flight: int, now: float) -> bool:
        """Whether a message may be sent now, beside so many that are not confirmed."""
        if self._alone is not None:
            return False
        if one in self._aside:
            is_due = now >= max(self._aside[one][0], self._tried_at + _BETWEEN_TRIES_SECONDS)
            if self._waiting not in (None, one) or not is_due:
                return False
            self._waiting = one
            if in_flight:
                return False
            self._waiting, self._alone, self._tried_at = None, one, now
            return True
        if self._waiting is not None:
            return False
        return self._most is None or in_flight < self._most

    def answered(self, one: Outgoing) -> None:
        """The broker has answered for a message, and the connection goes on."""
        self._aside.pop(one, None)
        if self._alone is one:
            self._alone = None
        if self._waiting is one:
            self._waiting = None
        if self._most is not None:
            self._most += 1
            if self._most > _FREE_ABOVE:
                self._most = None

    def forget(self, one: Outgoing) -> None:
        """A message is not published any more."""
        self._aside.pop(one, None)
        if self._waiting is one:
            self._waiting = None

    def lost(self, in_flight: Sequence[Outgoing], reason: str, now: float) -> None:
        """A connection was lost with these on it."""
        one = in_flight[0] if len(in_flight) == 1 else None
        if one is not None and (self._most == 1 or one in self._aside):
            before = self._aside.get(one, _NEVER)[1]
            pause = min(max(2 * before, _FIRST_ASIDE_SECONDS), _LONGEST_ASIDE_SECONDS)
            self._aside[one] = now + pause, pause
            if pause >= _GUILTY_SECONDS:
                log.error(
                    "publish.set_aside",
                    exchange=one.exchange,
                    body_bytes=len(one.body),
                    error=reason,
                    seconds=pause,
                    detail="the broker ends the connection for this message: others go on, "
                    "and it is tried again alone",
                )
        elif in_flight:
            self._most = max(1, len(in_flight) // _SHARE)

    def reopened(self) -> None:
        """There is another connection, with nothing on it."""
        self._alone = self._waiting = None

"""Messages that the broker refuses or returns, in the log: seldom, since each is tried again."""

from __future__ import annotations

import math
from typing import Final

import structlog

from worker.wire.confirms import Outgoing

log = structlog.get_logger(__name__)

_EVERY_SECONDS: Final = 10.0


class UnconfirmedLog:
    """Tells of the first message not taken, and then of all tries since, once in ten seconds."""

    def __init__(self) -> None:
        self._told_at = -math.inf
        self._untold = 0

    def tell(self, one: Outgoing, problem: str, pending: int, now: float) -> None:
        """Message `one` was not taken for `problem`; `pending` are not. `now` is in seconds."""
        self._untold += 1
        if now - self._told_at < _EVERY_SECONDS:
            return
        log.warning(
            "publish.unconfirmed",
            exchange=one.exchange,
            error=problem,
            tries=self._untold,
            pending=pending,
        )
        self._told_at, self._untold = now, 0

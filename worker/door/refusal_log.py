"""What the door does not take, in the log: once a minute for each code, whoever asks and however
often. It says nothing of who it was, nor of what they sent.
"""

from __future__ import annotations

import math
from typing import Final

import structlog

from worker.door.answers import AnswerCode

log = structlog.get_logger(__name__)

EVERY_SECONDS: Final = 60.0


class RefusalLog:
    """Counts refusals between two log lines; times are in seconds, of any clock that goes on."""

    def __init__(self) -> None:
        self._told_at: dict[AnswerCode, float] = {}
        self._untold: dict[AnswerCode, int] = {}

    def tell(self, code: AnswerCode, now: float) -> None:
        """A request was answered with that code."""
        if code.status < 400:
            return
        times = self._untold.get(code, 0) + 1
        if now - self._told_at.get(code, -math.inf) < EVERY_SECONDS:
            self._untold[code] = times
            return
        self._told_at[code], self._untold[code] = now, 0
        log.warning(
            "door.refused", answer=code.value, status=code.status, times=times, detail=code.sentence
        )

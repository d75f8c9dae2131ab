"""What the door does not take, in the log: once a minute for each code, whoever asks and however
often. It says nothing of who it was, nor of what they sent.
"""

from __future__ import annotations

import structlog

from worker.door.answers import AnswerCode
from worker.serving.rarely_told import RarelyTold

log = structlog.get_logger(__name__)


class RefusalLog:
    """Counts refusals between two log lines; times are in seconds, of any clock that goes on."""

    def __init__(self) -> None:
        self._told = RarelyTold()

    def tell(self, code: AnswerCode, now: float) -> None:
        """A request was answered with that code."""
        if code.status >= 400 and (times := self._told.count(code, now)):
            log.warning(
                "door.refused",
                answer=code.value,
                status=code.status,
                times=times,
                detail=code.sentence,
            )

"""Whether a webhook's body may go on the queue: as `events` judges it, in Didomi's terms. Pure.

What is only odd goes on: an event whose choices can't be read becomes a dead letter, which is kept
and can be replayed, while what is refused here is kept by nobody but Didomi.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.door.answers import Answer, AnswerCode, answer
from worker.events import Envelope, FlattenedEvent, UndecodableEvent, open_envelope
from worker.reasons import DeadReason

_CODES: Final[Mapping[str, AnswerCode]] = {
    DeadReason.INVALID_JSON: AnswerCode.INVALID_JSON,
    DeadReason.UNKNOWN_TYPE: AnswerCode.UNKNOWN_TYPE,
    DeadReason.INVALID_EVENT: AnswerCode.INVALID_EVENT,
}


def judge_body(body: bytes) -> Envelope | Answer:
    """The event in a webhook's body, or the answer that says why it never will be one."""
    try:
        return open_envelope(body)
    except FlattenedEvent:
        return answer(AnswerCode.FLATTENED)
    except UndecodableEvent as problem:
        # It names a field and what is allowed there, and quotes nothing.
        return answer(_CODES[problem.reason], f"In this one: {problem}.")

"""The fingerprint of a dead letter, by what its headers say. Pure."""

from __future__ import annotations

from worker.broker.dead_letter import DeadLetter
from worker.evidence.letter_cause import Fingerprint, adobe_code_in, field_in


def fingerprint_of(letter: DeadLetter) -> Fingerprint:
    """That of a letter, whose codes are judged already."""
    detail = letter.detail or ""
    return Fingerprint(
        letter.reason,
        letter.error,
        adobe_code_in(detail),
        field_in(letter.reason, detail),
        letter.http_status,
        letter.integration,
        letter.config,
    )

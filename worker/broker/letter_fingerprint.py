"""The fingerprint of a dead letter: letters with the same one are dead of the same cause. Pure.

It is made of codes and names alone, so it holds nothing of a person and stays the same in every
process: reason, error, Adobe's code, field, HTTP status and integration.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

from worker.broker.dead_letter import DeadLetter
from worker.reasons import DeadReason

GROUP_ID: Final = re.compile(r"[0-9a-f]{8}")
"""The shape of a group's id."""
_ADOBE_CODE: Final = re.compile(
    r"HTTP [0-9]{3}: ([A-Z]+(?:-[A-Z]+)*(?:-[0-9]{3,7})+|[a-z]+(?:_[a-z]+)+|[0-9]{6})(?=: | \(|$)"
)
"""The first code of Adobe's words, as a worker writes them."""
_FIELD: Final = re.compile(r"([A-Za-z_]\w*(?:\[[0-9]+\]|\.[\w*]+)*): ", re.ASCII)
"""The path with which a detail begins that says what is wrong with an event."""
_INDEX: Final = re.compile(r"\[[0-9]+\]")
_OF_A_FIELD: Final = frozenset({DeadReason.INVALID_EVENT, DeadReason.UNKNOWN_TYPE})


class Fingerprint(NamedTuple):
    """What letters of one group have in common; None for what a letter does not have."""

    reason: str
    error: str | None
    adobe_code: str | None
    field: str | None
    http_status: int | None
    integration: str | None

    @property
    def group(self) -> str:
        """A short id, the same in every process and version."""
        text = "\x1f".join("" if part is None else str(part) for part in self)
        return hashlib.blake2b(text.encode(), digest_size=4, person=b"dead-letters").hexdigest()


def fingerprint_of(letter: DeadLetter) -> Fingerprint:
    """That of a letter, whose codes are judged already."""
    detail = letter.detail or ""
    code = _ADOBE_CODE.match(detail)
    field = _FIELD.match(detail) if letter.reason in _OF_A_FIELD else None
    return Fingerprint(
        letter.reason,
        letter.error,
        code[1] if code else None,
        _INDEX.sub("[]", field[1]) if field else None,
        letter.http_status,
        letter.integration,
    )

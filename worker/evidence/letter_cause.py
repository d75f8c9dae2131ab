"""Why an event was refused or given up, in codes and names alone: receipts, the ledger and the
lists of dead letters tell it alike. Pure.

Nothing of a person is in it, and it is the same in every process. Letters with one fingerprint are
dead of the same cause, so what mends one of them mostly mends all.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

from worker.evidence.bounded_json import MOST_ID_CHARACTERS
from worker.evidence.receipt import Receipt
from worker.reasons import DeadReason

NOBODY_KNOWS_IT: Final = "nobody knows an integration with this id"
"""The detail of a letter `unknown-integration` whose integration no receipt names: what a producer
has written there may be anything.
"""
GROUP_ID: Final = re.compile(r"[0-9a-f]{8}")
"""The shape of a group's id."""
_ADOBE_CODE: Final = re.compile(
    r"HTTP [0-9]{3}: ([A-Z]+(?:-[A-Z]+)*(?:-[0-9]{3,7})+|[a-z]+(?:_[a-z]+)+|[0-9]{6})(?=: | \(|$)"
)
"""The first code of Adobe's words, as a worker writes them."""
_FIELD: Final = re.compile(r"([A-Za-z_]\w*(?:\[[0-9]+\]|\.[\w*]+)*): ", re.ASCII)
"""The path with which a detail begins that says what is wrong with an event."""
_MAPPED: Final = re.compile(
    r"(?:the value at|what goes to|the event gives different values to) ([^\s:,]+)"
)
"""The key or the path of a mapping that can't be written."""
_INDEX: Final = re.compile(r"\[[0-9]+\]")
_OF_A_FIELD: Final = frozenset(
    {DeadReason.INVALID_EVENT, DeadReason.UNKNOWN_TYPE, DeadReason.AMBIGUOUS_MAPPING}
)


class Fingerprint(NamedTuple):
    """What dead letters of one group have in common; None for what a letter does not have. `config`
    is the version of the integration's configuration.
    """

    reason: str
    error: str | None
    adobe_code: str | None
    field: str | None
    http_status: int | None
    integration: str | None
    config: str | None

    @property
    def group(self) -> str:
        """The short id of a group of dead letters, the same in every process and version."""
        parts = self if self.config is not None else self[:-1]  # as before letters had one
        text = "\x1f".join("" if part is None else str(part) for part in parts)
        return hashlib.blake2b(text.encode(), digest_size=4, person=b"dead-letters").hexdigest()


def fingerprint_of_receipt(receipt: Receipt) -> Fingerprint:
    """The fingerprint of a receipt's dead letter, as the letter's own headers tell it."""
    return Fingerprint(
        receipt.reason,
        receipt.error,
        receipt.code,
        receipt.field,
        receipt.status,
        receipt.integration or None,
        receipt.config or None,
    )


def adobe_code_in(detail: str) -> str | None:
    """Adobe's own code in the detail of a failure."""
    found = _ADOBE_CODE.match(detail)
    return found[1] if found else None


def field_in(reason: str, detail: str) -> str | None:
    """The path of an event's field, or of a mapping, that the detail of a `reason` names; of a list
    without the number in it.
    """
    if reason not in _OF_A_FIELD:
        return None
    # A header has the beginning of a detail alone.
    found = _FIELD.match(detail[:MOST_ID_CHARACTERS]) or _MAPPED.match(detail[:MOST_ID_CHARACTERS])
    return _INDEX.sub("[]", found[1]) if found else None

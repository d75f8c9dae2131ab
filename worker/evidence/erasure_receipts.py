"""The receipts by which a person's erasure reaches whoever keeps receipts. Pure but for their ids.

A receipt has one hash, so there is one for each id of the person and each month, and for each
integration where the person is not forgotten everywhere.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from worker.evidence.receipt import ReceiptFields, encode_fields
from worker.evidence.user_hash import user_hashes

EVERYWHERE: Final = (("", ""),)
"""All integrations, as a receipt names them: the ids of an integration and of its organization."""


def erased_rows(
    person: str,
    keys: Mapping[str, bytes],
    places: Collection[tuple[str, str]],
    at_ms: int,
) -> Iterator[bytes]:
    """The rows of an erasure at `at_ms` (ms since 1970) of who has this trimmed id; `keys` are by
    month, `places` are ids of integrations with those of their organizations.
    """
    for integration, organization in places:
        for user in user_hashes(person, keys):
            yield encode_fields(_erased(user, integration, organization, at_ms))


def _erased(user: str, integration: str, organization: str, at_ms: int) -> ReceiptFields:
    """Under an id of its own: what one command erases is no life of one event."""
    return {
        "event": secrets.token_hex(16),
        "updated_at": None,
        "integration": integration,
        "organization": organization,
        "delivery": 0,
        "outcome": "erased",
        "reason": "",
        "attempt": 0,
        "user": user,
        "choice": None,
        "attributes": {},
        "event_at": None,
        "due_at": None,
        "status": None,
        "xaction": None,
        "config": "",
        "at": at_ms,
    }

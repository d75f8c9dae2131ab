"""Who a record is about: the first configured identifier that has a usable value. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from worker.events import ConsentRecord
from worker.fast_tuples import new_tuple
from worker.integrations.model import Integration
from worker.integrations.sections import Normalisation, UserIdentifier
from worker.transform.decision_types import Identity

# A shape, not a proof: one @ between two parts without blanks, a dot in the domain. Every part is
# delimited by a character it can't hold, so matching is linear.
_UNSEEN: Final = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef"
)
"""What shows as nothing though Python takes it for printable: Unicode has it among letters, marks
and symbols (its property Default_Ignorable_Code_Point, and the empty pattern of Braille)."""
_EMAIL: Final = re.compile(
    rf"[^@\s{_UNSEEN}]{{1,256}}@[^@\s.{_UNSEEN}]{{1,256}}(?:\.[^@\s.{_UNSEEN}]{{1,256}})+"
)
_ASCII_EMAIL: Final = re.compile(r"[!-?A-~]{1,256}@[!-\-/-?A-~]{1,256}(?:\.[!-\-/-?A-~]{1,256})+")
"""The same of those in ASCII, as nearly all are, in half of the time."""
MAX_IDENTITY_CHARACTERS: Final = 1024
"""Adobe's limit of an identity value (guardrails for Identity Service)."""


class IdentityPlace(NamedTuple):
    """Where an identifier of an integration is said, and how; see `IdentityRule`."""

    identifier: UserIdentifier
    normalisation: Normalisation
    path: str
    namespace: str | None
    in_identity_map: bool


def identity_places(integration: Integration) -> tuple[IdentityPlace, ...]:
    """The places of an integration's identifiers, the first one that is usable before others."""
    return tuple(
        IdentityPlace(
            identifier,
            rule.normalisation,
            rule.path or "",
            rule.namespace,
            rule.location == "identity-map",
        )
        for identifier, rule in integration.identity_rules
    )


def resolve_identity(places: Iterable[IdentityPlace], record: ConsentRecord) -> Identity | None:
    """The identity of the record, normalised; None when no identifier has a usable value.

    `user.id` is never used: it is a device id of Didomi's and would create stray profiles.
    """
    for place in places:
        value = _raw_value(place[0], record)
        if value is not None and len(value) <= MAX_IDENTITY_CHARACTERS:
            return _identity(place, value)
    return None


def possible_identities(integration: Integration, user_id: str) -> list[Identity]:
    """What somebody with this id may be at Adobe, whichever of the identifiers an event has."""
    value = user_id.strip()
    return [
        _identity(place, value)
        for place in identity_places(integration)
        if value
        and len(value) <= MAX_IDENTITY_CHARACTERS
        and (place.identifier != "email" or _EMAIL.fullmatch(value))
    ]


def _identity(place: IdentityPlace, value: str) -> Identity:
    identifier, normalisation, path, namespace, in_map = place
    normal = normalise(value, normalisation)
    return new_tuple(Identity, (identifier, normal, path, namespace, in_map))


def normalise(value: str, rule: Normalisation) -> str:
    """An identity's `value` trimmed, and lower-cased or hashed (SHA-256 of the lower-cased, hex) by
    `rule`.
    """
    value = value.strip()
    if rule == "trim":
        return value
    lowered = value.lower()
    if rule == "lower":
        return lowered
    return hashlib.sha256(lowered.encode()).hexdigest()


def _raw_value(identifier: UserIdentifier, record: ConsentRecord) -> str | None:
    user_id = (record.organization_user_id or "").strip()
    if identifier != "email":
        return user_id or None
    if _is_email(user_id):
        return user_id
    said = record.metadata.get("email")
    if isinstance(said, str) and _is_email(email := said.strip()):
        return email
    return None


def _is_email(text: str) -> bool:
    """Control characters and blanks of no width (which are no blanks to `\\s`) would make a contact
    that nobody finds, beside the one that looks the same.
    """
    if _ASCII_EMAIL.fullmatch(text) is not None:
        return True
    return text.isprintable() and _EMAIL.fullmatch(text) is not None

"""What of a choice may be told without telling what was written: yes, no, or neither. Pure."""

from __future__ import annotations

from typing import Final

from worker.evidence.receipt import Attributes
from worker.integrations.model import Derived, Integration
from worker.transform.decision_types import Deliver
from worker.transform.format_rendering import as_json, is_refusal

_CONSENT_OBJECT: Final = {"val": "y"}
"""How the format `consent-val` writes true, perhaps with a time beside it."""


def _yes_texts(integration: Integration) -> frozenset[str]:
    return frozenset(one.id for one in integration.mappings if one.format[-1] == "y-n")


_yes_texts_of: Final = Derived("yes_texts", _yes_texts).of
"""The paths at which a "y" is a yes, and not a text of the event."""


def told_attributes(integration: Integration, choice: Deliver) -> Attributes:
    """By path what `choice` says: true, false, or None for a text, a number or an object."""
    told: Attributes = {}
    yes_texts: frozenset[str] | None = None
    for path, value in choice.attributes.items():
        if value is True or value is False:  # as most
            told[path] = value
            continue
        if yes_texts is None:
            yes_texts = _yes_texts_of(integration)
        told[path] = _boolean(value, path in yes_texts)
    return told


def _boolean(value: object, is_yes_text: bool) -> bool | None:
    if value.__class__ is str:
        return True if is_yes_text and value == "y" else None
    if is_refusal(value):
        return False
    written = as_json(value)
    if written is True:
        return True
    is_yes = isinstance(written, dict) and written.get("val") == _CONSENT_OBJECT["val"]
    return True if is_yes or (is_yes_text and written == "y") else None

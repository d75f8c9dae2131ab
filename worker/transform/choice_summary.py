"""What of a choice may be told without telling what was written: yes, no, or something else. Pure.

Receipts and metrics say the same by it.
"""

from __future__ import annotations

from typing import Final

from worker.evidence.receipt import Attributes, ChoiceKind
from worker.integrations.model import Derived, Integration
from worker.transform.decision_types import Deliver
from worker.transform.format_rendering import as_json, is_refusal
from worker.transform.mapping_plan import plan_of

_BOOLEANS: Final = {bool}
_CONSENT_OBJECT: Final = {"val": "y"}
"""How the format `consent-val` writes true, perhaps with a time beside it."""


def _yes_texts(integration: Integration) -> frozenset[str]:
    return frozenset(one.id for one in integration.mappings if one.format[-1] == "y-n")


_yes_texts_of: Final = Derived("yes_texts", _yes_texts).of
"""The paths at which a "y" is a yes, and not a text of the event."""


def booleans_of(integration: Integration, choice: Deliver) -> Attributes:
    """By path what `choice` says: true, false, or None for a text, a number or an object."""
    said = choice.attributes
    if {*map(type, said.values())} == _BOOLEANS:
        return said  # as most do
    yes_texts = _yes_texts_of(integration)
    return {path: _boolean(value, path in yes_texts) for path, value in said.items()}


def kind_of_choice(integration: Integration, booleans: Attributes) -> ChoiceKind:
    """`withdrawn` where one of the choices is a no, else `given` where one is a yes. What only goes
    along with choices is none.
    """
    companions = plan_of(integration).companions
    said = booleans.values()
    if companions:
        said = {path: one for path, one in booleans.items() if path not in companions}.values()
    if False in said:
        return "withdrawn"
    return "given" if True in said else "other"


def _boolean(value: object, is_yes_text: bool) -> bool | None:
    if value is True or is_refusal(value):
        return value is True
    written = as_json(value)
    if written is True:
        return True
    is_yes = isinstance(written, dict) and written.get("val") == _CONSENT_OBJECT["val"]
    return True if is_yes or (is_yes_text and written == "y") else None

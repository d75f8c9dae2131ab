"""What the mappings of an integration send: one example of each sort of value. Pure."""

from __future__ import annotations

from typing import Any

from worker.adobe.check.schema import AnyText
from worker.integrations.model import Integration, Mapping
from worker.transform.mapping import Flat, attributes_of

_SAID: tuple[bool, ...] = (True, False)


def sent_values(integration: Integration, mapping: Mapping) -> list[Any]:
    """Every value that the mapping can send; of texts that an event brings just `AnyText`.

    They are rendered as deliveries are, so that a format can't mean two things.
    """
    if not is_choice(mapping):
        return [AnyText()]
    values = []
    for choice in _SAID:
        attributes, _ = attributes_of(integration, {mapping.value: choice})
        if mapping.id in attributes:
            values.append(attributes[mapping.id])
    return values


def is_choice(mapping: Mapping) -> bool:
    """Whether its value is a choice, which is a boolean, and no text of the event."""
    return mapping.value.startswith("consents_") and mapping.value.endswith(
        ("_enabled", "_enabled_li")
    )


def refusals(integration: Integration) -> dict[str, Any]:
    """Every choice refused, by mapping id: what a test record says."""
    said: Flat = {one.value: False for one in integration.mappings if is_choice(one)}
    return attributes_of(integration, said)[0]

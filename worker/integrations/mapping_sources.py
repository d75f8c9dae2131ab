"""Where a value comes from: what a mapping may name of an event, and what can stand there."""

from __future__ import annotations

import re
from typing import Final, Literal

ValueKind = Literal["choice", "text", "any"]
"""What stands at a place of an event: true or false; a text; or whatever its producer put there."""

_ID: Final = r".+"
_FACTS: Final = (
    "created_at",
    "updated_at",
    "event_id",
    "domain",
    "regulation",
    "status",
    "delegate_id",
    "delegate_name",
)
_FACTS_OF_SNAPSHOTS: Final = ("created_at", "updated_at", "regulation")
_METADATA_OF_THE_EVENT: Final = ("event_metadata_", "delegate_metadata_")

# Exactly the keys that flattening an event can produce (docs/integration-config.md). An id may hold
# underscores and dashes, so these say whether some event could produce a key, not how to split it.
_FORMS: Final = (
    "organization_user_id",
    "country",
    "last_seen_country",
    *_FACTS,
    rf"(metadata|event_metadata|delegate_metadata)_{_ID}",
    rf"consents_purposes_{_ID}_enabled(_li)?",
    rf"consents_purposes_{_ID}_values_{_ID}_value",
    rf"consents_purposes_{_ID}_metadata_{_ID}",
    rf"consents_preferences_{_ID}_enabled",
    rf"consents_channels?_{_ID}_enabled",
    rf"consents_vendors_{_ID}_enabled(_li)?",
    "consents_tcfcs",
)
_MAPPING_VALUE: Final = re.compile("|".join(f"(?:{form})" for form in _FORMS), re.DOTALL)
_CHOICE: Final = re.compile(r"consents_.+_enabled(_li)?", re.DOTALL)
_PREFERENCE: Final = re.compile(r"consents_purposes_.+_values_.+_value", re.DOTALL)
_PURPOSE_METADATA: Final = re.compile(r"consents_purposes_.+_metadata_.+", re.DOTALL)


def check_mapping_value(value: str) -> str:
    """A mapping's `value`, if some event can say something there; else raises ValueError."""
    if not _MAPPING_VALUE.fullmatch(value):
        raise ValueError(
            "can never match an event; allowed are consents_purposes_<id>_enabled (or "
            "_enabled_li), consents_purposes_<id>_values_<id>_value, "
            "consents_purposes_<id>_metadata_<key>, consents_preferences_<id>_enabled, "
            "consents_channels_<id>_enabled and the nested forms of these, "
            "consents_vendors_<id>_enabled (or _enabled_li), consents_tcfcs, "
            "organization_user_id, country, last_seen_country, metadata_<key>, "
            f"{', '.join(_FACTS)}, event_metadata_<key> and delegate_metadata_<key>"
        )
    return value


def kind_of(value: str) -> ValueKind:
    """What can stand at the place that a mapping names."""
    if _CHOICE.fullmatch(value):
        return "choice"
    if value.startswith(("metadata_", *_METADATA_OF_THE_EVENT)) or _PURPOSE_METADATA.fullmatch(
        value
    ):
        return "any"
    return "text"


def is_preference(value: str) -> bool:
    """Whether `value` names a V2 preference: those of its values that are selected."""
    return _PREFERENCE.fullmatch(value) is not None


def is_consent(value: str) -> bool:
    """Whether `value` names what a person has chosen, which only a choice can change. An id with
    `_metadata_` in it leaves open whether it does: then it counts as a choice.
    """
    return value.startswith("consents_") and (kind_of(value) != "any" or is_preference(value))


def is_of_events_alone(value: str) -> bool:
    """Whether `value` tells of the event what no snapshot of a user has."""
    return is_fact(value) and value not in _FACTS_OF_SNAPSHOTS


def is_fact(value: str) -> bool:
    """Whether `value` tells of the event and not of a choice: it goes along with choices, and never
    makes a message by itself.
    """
    return value in _FACTS or value.startswith(_METADATA_OF_THE_EVENT)

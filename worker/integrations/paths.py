"""The two path languages of a mapping: where a value comes from, and where it goes to."""

from __future__ import annotations

import re
from typing import Final

_ID: Final = r".+"
_CHANNEL: Final = rf"channels?_{_ID}_enabled"

# Exactly the keys that flattening an event can produce (docs/integration-config.md). An id may hold
# underscores and dashes, so these say whether some event could produce a key, not how to split it.
_FORMS: Final = (
    "organization_user_id",
    "country",
    "last_seen_country",
    rf"metadata_{_ID}",
    rf"consents_purposes_{_ID}_enabled(_li)?",
    rf"consents_purposes_{_ID}_values_{_ID}_value",
    rf"consents_preferences_{_ID}_enabled",
    rf"consents_{_CHANNEL}",
)
_MAPPING_VALUE: Final = re.compile("|".join(f"(?:{form})" for form in _FORMS), re.DOTALL)


MOST_CHARACTERS: Final = 1024
_MOST_STEPS: Final = 64
"""What Adobe's schemas need at most is a dozen; what writes JSON gives up at some 250."""


def check_mapping_value(value: str) -> None:
    """Raise ValueError when no event whatever could have something to say at `value`."""
    if not _MAPPING_VALUE.fullmatch(value):
        raise ValueError(
            "can never match an event; allowed are organization_user_id, country, "
            "last_seen_country, metadata_<key>, consents_purposes_<id>_enabled (or _enabled_li), "
            "consents_purposes_<id>_values_<id>_value, consents_preferences_<id>_enabled, "
            "consents_channels_<id>_enabled, and the nested forms of these"
        )


def check_attribute_path(path: str) -> None:
    """Raise ValueError unless `path` is dotted names without blanks, such as `_tenant.a.b`. Signs
    alone are no name: they have meanings of their own in the state of newest-wins.
    """
    steps = path.split(".")
    if len(steps) > _MOST_STEPS:
        raise ValueError(f"must be at most {_MOST_STEPS} names deep")
    is_name = any(character.isalnum() for character in path)
    if not is_name or any(not step or step != step.strip() for step in steps):
        raise ValueError("must be names joined by single dots, such as _tenant.consents.newsletter")


def find_path_conflict(paths: set[str]) -> tuple[str, str] | None:
    """Two of `paths` of which one lies inside the other, so that both can't be written; or None."""
    before: list[str] | None = None
    # In the order of their names, what lies inside a path comes right after it.
    for steps in sorted(path.split(".") for path in paths):
        if before is not None and steps[: len(before)] == before:
            return ".".join(before), ".".join(steps)
        before = steps
    return None


def do_collide(path: str, other: str) -> bool:
    """Whether they are the same, or one lies inside the other."""
    return f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.")

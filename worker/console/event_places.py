"""Where Didomi has what in an event: by its place a value is known to be no person's. Pure."""

from __future__ import annotations

from typing import Any, Final

from worker.events import EVENT_KINDS

Path = tuple[str | int, ...]
"""Keys and places, from the document down."""

KEYS: Final = frozenset(
    {
        "type",
        "parameters",
        "entity",
        "new_entity",
        "old_entity",
        "data",
        "id",
        "organization_id",
        "created_at",
        "updated_at",
        "version",
        "status",
        "regulation",
        "user",
        "organization_user_id",
        "organization_user_id_algorithm",
        "metadata",
        "country",
        "last_seen_country",
        "consents",
        "purposes",
        "vendors",
        "channels",
        "channel",
        "preferences",
        "values",
        "value",
        "enabled",
        "disabled",
        "enabled_li",
        "disabled_li",
        "tcfcs",
        "delegate",
        "name",
        "domain",
        "event",
        "email",
        "language",
        "proofs",
        "validation",
        "source",
    }
)
ID_LISTS: Final = frozenset({"enabled", "disabled", "enabled_li", "disabled_li"})
_ANYBODYS: Final = frozenset({"metadata", "proofs", "delegate"})
"""Keys below which the customer has what it likes, or somebody is: a text there is of no known
kind."""
_OF_CHOICES: Final = ID_LISTS | {"purposes", "vendors", "channels", "preferences", "values", "id"}
_IN_WEBHOOK: Final = frozenset(
    ("parameters", one) for one in ("entity", "new_entity", "old_entity")
)
_ENTITIES: Final[frozenset[Path]] = _IN_WEBHOOK | {()}


def is_didomis(path: Path) -> bool:
    """Whether all keys on the way to a place in an event are of Didomi's documents, and what stands
    there is no customer's.
    """
    return all(one in KEYS and one not in _ANYBODYS for one in path if isinstance(one, str))


def is_of_choices(path: Path) -> bool:
    """Whether a place in an event is one that Didomi has for choices."""
    for at, key in enumerate(path):
        if key == "consents":
            words = (one for one in path[at + 1 :] if isinstance(one, str))
            return path[:at] in _ENTITIES and all(one in _OF_CHOICES for one in words)
    return False


def events_in(document: Any) -> frozenset[Path]:
    """Where a document has events: in a webhook of `event.*`, or it is an event by itself."""
    if not isinstance(document, dict):
        return frozenset()
    if "type" not in document:
        is_event = "user" in document and "consents" in document
        return frozenset({()}) if is_event else frozenset()
    kind = document["type"]
    kind = kind.lower() if isinstance(kind, str) else ""
    is_event = kind in EVENT_KINDS and kind.startswith("event.")
    return _IN_WEBHOOK if is_event else frozenset()

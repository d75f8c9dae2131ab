"""Flattening an event forward, and looking mapping values up in the result. Pure.

A mapping value such as `consents_purposes_loyalty_club_enabled` can't be split: ids may hold
underscores. So the event is flattened instead, and the value looked up exactly. Only keys that a
mapping names are built. Didomi publishes four examples of such values and no grammar; the forms are
listed in docs/integration-config.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from worker.events import ConsentRecord, is_plain_choice
from worker.integrations.model import Integration

Flat = dict[str, bool | str]


class AmbiguousMapping(ValueError):  # noqa: N818 - a statement about the event
    """Two places of one event give different values to one key."""


class UnusableValue(ValueError):  # noqa: N818 - a statement about the event
    """A mapped place holds neither a boolean nor a string."""


def flatten(record: ConsentRecord, wanted: frozenset[str]) -> Flat:
    """The wanted keys that the event has something to say about.

    Null and empty values say nothing. Raises `AmbiguousMapping` and `UnusableValue`, whose texts
    name the key, which is part of the configuration, and no value.
    """
    flat: Flat = {}
    for key, value in _pairs(record):
        if key in wanted:
            _add(flat, key, value)
    for purpose in record.purposes:
        if is_plain_choice(purpose):
            key = f"consents_purposes_{purpose['id']}_enabled"
            if key in wanted:
                _add(flat, key, purpose.get("enabled"))
            continue
        for key, value in _purpose(purpose):
            if key in wanted:
                _add(flat, key, value)
    return flat


def _add(flat: Flat, key: str, value: Any) -> None:
    if value is None or value == "":
        return
    if not isinstance(value, bool | str):
        raise UnusableValue(f"the value at {key} must be a boolean or a string")
    known = flat.setdefault(key, value)
    if known is not value and known != value:
        raise AmbiguousMapping(f"the event gives different values to {key}")


def attributes_of(integration: Integration, flat: Flat) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Mapping id → value as it is sent; and the ids that the event has nothing to say about."""
    attributes: dict[str, Any] = {}
    unmatched = []
    for mapping in integration.mappings:
        value = flat.get(mapping.value)
        if value is None:
            unmatched.append(mapping.id)
        elif mapping.format == "consent-val" and isinstance(value, bool):
            attributes[mapping.id] = {"val": "y" if value else "n"}
        else:
            attributes[mapping.id] = value
    return attributes, tuple(unmatched)


def _pairs(record: ConsentRecord) -> list[tuple[str, Any]]:
    """All but the purposes."""
    pairs: list[tuple[str, Any]] = [
        ("organization_user_id", record.organization_user_id),
        ("country", record.country),
        ("last_seen_country", record.last_seen_country),
    ]
    for key, value in record.metadata.items():
        if not isinstance(value, dict | list):
            pairs.append((f"metadata_{key}", value))
    pairs.extend(_channels("consents", record.channels))
    return pairs


def _purpose(purpose: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    base = f"consents_purposes_{purpose['id']}"
    yield f"{base}_enabled", purpose.get("enabled")
    yield f"{base}_enabled_li", purpose.get("enabled_li")
    for preference_id, value in (purpose.get("values") or {}).items():
        yield f"{base}_values_{preference_id}_value", (value or {}).get("value")
    yield from _channels(base, purpose.get("channels"))
    for preference in purpose.get("preferences") or ():
        for prefix in (f"{base}_preferences", "consents_preferences"):
            path = f"{prefix}_{preference['id']}"
            yield f"{path}_enabled", preference.get("enabled")
            yield from _channels(path, preference.get("channels"))


def _channels(base: str, channels: list[dict[str, Any]] | None) -> Iterator[tuple[str, Any]]:
    for channel in channels or ():
        # Didomi's own example says `channel`, its JSON `channels`: both spellings are accepted.
        for word in ("channel", "channels"):
            yield f"{base}_{word}_{channel['id']}_enabled", channel.get("enabled")

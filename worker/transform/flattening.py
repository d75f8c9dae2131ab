"""Flattening an event forward, its own facts included, and looking mapping values up in the result.
Pure.

A mapping value such as `consents_purposes_loyalty_club_enabled` can't be split: ids may hold
underscores. So the event is flattened instead, and the value looked up exactly. Only keys that a
mapping names are built. Didomi publishes four examples of such values and no grammar; the forms are
listed in docs/integration-config.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from worker.events import BESIDES_ENABLED, ConsentRecord, Envelope
from worker.fast_tuples import new_tuple
from worker.transform.format_rendering import (
    UnusableValue,
    UnwritableValue,
    is_refusal,
    split_once,
)
from worker.transform.mapped_event_facts import pairs_beyond
from worker.transform.mapped_weight import check_weight
from worker.transform.mapping_plan import Entry, Plan

Flat = dict[str, Any]


class AmbiguousMapping(ValueError):
    """Two places of one event give different values to one key."""


class Attributes(NamedTuple):
    """What an event says by the mappings. `said`: mapping id → value as it is sent. `unmatched`:
    ids that the event says nothing about; `unusable`: those where it holds what the mapping
    can't write: a list, an object, or a number beyond 64 bits.
    """

    said: dict[str, Any]
    unmatched: tuple[str, ...]
    unusable: tuple[str, ...] = ()


def flatten(envelope: Envelope, record: ConsentRecord, plan: Plan) -> Flat:
    """The wanted keys that the event has something to say about.

    Null and empty values say nothing. Raises `AmbiguousMapping` and `UnusableValue`, whose texts
    name the key, which is part of the configuration, and no value.
    """
    flat: Flat = {}
    for fact, key in plan.user_places:
        _add_fact(flat, record, fact, key, plan)
    if plan.wants_more:
        _add_wanted(flat, _more(envelope, record, plan), plan)
    choice_at = plan.purpose_places.get
    for purpose in record.purposes:
        if BESIDES_ENABLED.isdisjoint(purpose):
            place = choice_at(purpose["id"])
            if place is None or (choice := purpose.get("enabled")) is None:
                continue
            if flat.setdefault(place, choice) is not choice:
                _put(flat, place, choice)
        else:
            _add_wanted(flat, _purpose(purpose), plan)
    return flat


def attributes_of(
    plan: Plan, flat: Flat, time_ms: int, *, is_pending: bool, is_snapshot: bool = False
) -> Attributes:
    """What is sent of a flattened event whose choices were made at `time_ms`. Without a choice it
    is nothing, or, of a snapshot, what would go along with choices.

    Raises `UnusableValue` for a choice that can't be written as its mapping says, and for values
    that are too long for their mappings.
    """
    if plan.uses:
        check_weight(flat, plan.uses, plan.light_characters)
    split = flat
    if plan.split:
        split = {one: split_once(flat[one]) for one in plan.split if one in flat}
    said: dict[str, Any] = {}
    unmatched: list[str] = []
    unusable: list[str] = []
    for target, place, render, looks_inside, entry in plan.rows:
        value = (split if looks_inside else flat).get(place)
        if value is not None and (render is not None or is_pending):
            try:
                value = written(entry, value, time_ms, is_pending=is_pending)
            except UnwritableValue:
                unusable.append(target)
                value = None
        if value is None:
            unmatched.append(target)
        else:
            said[target] = value
    if plan.companions:
        said.update(plan.constants)
        if not is_snapshot and said.keys() <= plan.companions:
            said = {}
    if unusable:
        unmatched = [one for one in unmatched if one not in unusable]
    return new_tuple(Attributes, (said, tuple(unmatched), tuple(unusable)))


def written(entry: Entry, value: Any, time_ms: int, *, is_pending: bool) -> Any:
    """What the value at a mapping's place becomes; None when that says nothing. Raises
    `UnusableValue`, which names the place.
    """
    if entry.render is not None:
        try:
            value = entry.render(value, time_ms)
        except UnwritableValue:
            raise
        except UnusableValue as error:
            raise UnusableValue(f"the value at {entry.place} {error}") from None
    if is_pending and not entry.is_fact and value is not None:
        value = _not_yet(entry, value, time_ms)
    return value


def _not_yet(entry: Entry, written: Any, time_ms: int) -> Any:
    """What a choice that still has to be confirmed becomes. A refusal waits for its confirmation:
    to announce a consent in its place would be wrong.
    """
    if entry.pending is None or is_refusal(written):
        return None
    return entry.pending(time_ms)


def _put(flat: Flat, key: str, value: Any) -> None:
    known = flat.setdefault(key, value)
    if known is value:
        return
    try:
        is_ambiguous = known != value
    except RecursionError:
        raise UnusableValue(f"the value at {key} is nested too deeply") from None
    if is_ambiguous:
        raise AmbiguousMapping(f"the event gives different values to {key}")


def _add(flat: Flat, key: str, value: Any, plan: Plan) -> None:
    if value is None or (value in ("", [], {}) and key not in plan.emptiable):
        return
    if not isinstance(value, bool | str) and key not in plan.free:
        raise UnusableValue(f"the value at {key} must be a boolean or a string")
    _put(flat, key, value)


def _add_fact(flat: Flat, record: ConsentRecord, fact: str, key: str | None, plan: Plan) -> None:
    """A fact of the user that the plan wants: `key` of the metadata, or one beside these."""
    value = record.metadata.get(key) if key is not None else getattr(record, fact)
    if value.__class__ is str and value:  # as nearly all are: a call for each is dear
        flat[fact] = value
    else:
        _add(flat, fact, value, plan)


def _add_wanted(flat: Flat, pairs: Iterable[tuple[str, Any]], plan: Plan) -> None:
    for key, value in pairs:
        if key in plan.wanted:
            _add(flat, key, value, plan)


def _more(envelope: Envelope, record: ConsentRecord, plan: Plan) -> list[tuple[str, Any]]:
    """All but what the user is and the choices for purposes, as far as the plan wants it."""
    more: list[tuple[str, Any]] = []
    if plan.wants_channels:
        more += _channels("consents", record.channels)
    if plan.wants_beyond:
        more += pairs_beyond(envelope, record)
    if plan.wants_purpose_metadata:
        for purpose in record.purposes:
            more += _purpose_metadata(purpose)
    return more


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


def _purpose_metadata(purpose: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    metadata = purpose.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise UnusableValue("consents.purposes.*.metadata: must be an object")
    for key, value in (metadata or {}).items():
        yield f"consents_purposes_{purpose['id']}_metadata_{key}", value


def _channels(base: str, channels: list[dict[str, Any]] | None) -> Iterator[tuple[str, Any]]:
    for channel in channels or ():
        # Didomi's own example says `channel`, its JSON `channels`: both spellings are accepted.
        for word in ("channel", "channels"):
            yield f"{base}_{word}_{channel['id']}_enabled", channel.get("enabled")

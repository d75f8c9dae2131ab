"""What the mappings of an integration come to, worked out once and not for each event. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from collections.abc import Mapping as Table
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from worker.integrations.attribute_mapping import Mapping
from worker.integrations.format_steps import CONTAINS
from worker.integrations.integration_fields import EventSource
from worker.integrations.mapping_sources import is_fact, is_preference, kind_of
from worker.integrations.model import Derived, Integration
from worker.transform.format_rendering import EMPTIED, Render, finish_of, is_empty, render_of
from worker.transform.identity import IdentityPlace, identity_places
from worker.transform.mapped_weight import Uses, light_characters

_AS_LONG: Final = frozenset({"as-is", "text", "list"})
"""Formats that write about as much as they read."""
_OF_THE_USER: Final = frozenset({"organization_user_id", "country", "last_seen_country"})
_USER_METADATA: Final = "metadata_"
_PURPOSE: Final = "consents_purposes_"
_ENABLED: Final = "_enabled"


Written = Callable[[int], Any]
"""From the time of a choice (milliseconds since the epoch) to what is sent."""


class Entry(NamedTuple):
    """One mapping: `place` of the event → `target`. `is_fact`: it tells of the event, not of a
    choice. `pending`: what a consent that still has to be confirmed becomes; None: nothing.
    `looks_inside`: it asks for one of the values at the place.
    """

    target: str
    place: str
    render: Render | None
    is_fact: bool
    pending: Written | None
    looks_inside: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What an integration's mappings come to: `entries`, in the order of the file; `rows`, of each
    its target, place, format, whether it looks inside, and itself, since plain tuples are unpacked
    in a quarter of the time; and `constants` that go along with them. `identity_places` are those
    of the person. `companions` are the targets that make no message by themselves: constants, and
    facts of the event.

    `wanted`: the places that some mapping names. Of these, `free` may hold anything, and
    `emptiable` say something though they are empty. The rest tells which parts of an event are
    looked at at all; `wants_more`, whether any but the user and the choices for purposes.
    `by_target` has the entries again, and one of the place "" for each constant.

    `purpose_places`: the id of a purpose → the place of its choice, where that is wanted.
    `user_places`: the wanted places of the user's own facts, each with its key in the metadata, or
    None for a fact beside these.

    `split`: the places into which mappings look. `uses`: how often each place is read and written,
    empty where all of them hold choices, which weigh nothing; `light_characters` of a text at each
    of them are never too much.

    `absent`: what each target becomes when a newer snapshot of the same Didomi user does not name
    it any more; `absent_with_times` are those that are written with the time of the snapshot.
    """

    entries: tuple[Entry, ...]
    rows: tuple[tuple[str, str, Render | None, bool, Entry], ...]
    constants: tuple[tuple[str, Any], ...]
    companions: frozenset[str]
    wanted: frozenset[str]
    free: frozenset[str]
    emptiable: frozenset[str]
    purpose_places: Table[str, str]
    user_places: tuple[tuple[str, str | None], ...]
    wants_more: bool
    wants_channels: bool
    wants_purpose_metadata: bool
    wants_beyond: bool
    may_be_pending: bool
    split: frozenset[str]
    uses: Table[str, Uses]
    light_characters: int
    events: EventSource
    regulations: frozenset[str]
    replaces_record: bool
    identity_places: tuple[IdentityPlace, ...]
    by_target: Table[str, Entry]
    absent: Table[str, Any]
    absent_with_times: tuple[tuple[str, Written], ...]

    def absent_at(self, time_ms: int) -> Table[str, Any]:
        """`absent` for a snapshot of that time (milliseconds since the epoch)."""
        if not self.absent_with_times:
            return self.absent
        return {**self.absent, **{path: said(time_ms) for path, said in self.absent_with_times}}


def _plan(integration: Integration) -> Plan:
    mapped = [(one, one.value) for one in integration.mappings if one.value is not None]
    wanted = frozenset(place for _, place in mapped)
    emptiable = frozenset(place for one, place in mapped if _speaks_of_emptiness(one, place))
    wants_channels = any(one.startswith("consents_channel") for one in wanted)
    wants_purpose_metadata = any(
        one.startswith("consents_purposes_") and "_metadata_" in one for one in wanted
    )
    wants_beyond = any(
        is_fact(one) or one.startswith(("consents_vendors_", "consents_tcfcs")) for one in wanted
    )
    entries = tuple(
        Entry(
            *(one.id, place, _render(one, place, emptiable), is_fact(place), _pending(one)),
            looks_inside=_looks_inside(one),
        )
        for one, place in mapped
    )
    constants = tuple((one.id, one.constant) for one in integration.mappings if not one.value)
    absent = {one.id: _absent(one) for one in integration.mappings}
    timed = {one.id for one in integration.mappings if one.time_path is not None}
    is_kept = integration.replaces_record
    uses = (
        _uses(mapped, is_kept=is_kept)
        if any(kind_of(place) != "choice" for place in wanted)
        else {}
    )
    return Plan(
        entries=entries,
        rows=tuple((one.target, one.place, one.render, one.looks_inside, one) for one in entries),
        constants=constants,
        companions=frozenset(
            one.id for one in integration.mappings if one.value is None or is_fact(one.value)
        ),
        wanted=wanted,
        free=frozenset(place for place in wanted if kind_of(place) == "any"),
        emptiable=emptiable,
        purpose_places={
            one[len(_PURPOSE) : -len(_ENABLED)]: one
            for one in sorted(wanted)
            if one.startswith(_PURPOSE) and one.endswith(_ENABLED)
        },
        user_places=tuple(_user_places(wanted)),
        wants_more=wants_channels or wants_purpose_metadata or wants_beyond,
        wants_channels=wants_channels,
        wants_purpose_metadata=wants_purpose_metadata,
        wants_beyond=wants_beyond,
        may_be_pending=any(one.pending is not None for one in integration.mappings),
        split=frozenset(place for one, place in mapped if _looks_inside(one)),
        uses=uses,
        light_characters=light_characters(uses),
        events=integration.events,
        regulations=frozenset(integration.regulations),
        replaces_record=integration.replaces_record,
        identity_places=identity_places(integration),
        by_target={one.target: one for one in entries}
        | {path: _constant_entry(path, said) for path, said in constants},
        absent={path: said(0) for path, said in absent.items()},
        absent_with_times=tuple((path, absent[path]) for path in absent if path in timed),
    )


def _user_places(wanted: frozenset[str]) -> Iterator[tuple[str, str | None]]:
    for place in sorted(wanted):
        if place in _OF_THE_USER:
            yield place, None
        elif place.startswith(_USER_METADATA):
            yield place, place.removeprefix(_USER_METADATA)


def _uses(mapped: list[tuple[Mapping, str]], *, is_kept: bool) -> dict[str, Uses]:
    read = Counter(place for _, place in mapped)
    written = Counter(
        place for one, place in mapped if one.constant is None and one.format[-1] in _AS_LONG
    )
    return {place: Uses(times, written[place], is_kept * times) for place, times in read.items()}


def _constant_entry(target: str, said: Any) -> Entry:
    return Entry(target, "", lambda _value, _time_ms: said, True, None)


def _speaks_of_emptiness(mapping: Mapping, place: str) -> bool:
    """A preference of which nothing is selected is a choice; other empty values mostly say nothing,
    unless their mapping speaks of it.
    """
    return is_preference(place) or mapping.empty is not None or _looks_inside(mapping)


def _looks_inside(mapping: Mapping) -> bool:
    return mapping.format[0].startswith(CONTAINS)


def _render(mapping: Mapping, place: str, emptiable: frozenset[str]) -> Render | None:
    """Of a place that may be empty also what is said then."""
    render, empty = render_of(mapping), _empty(mapping, place)
    if place not in emptiable or _looks_inside(mapping):
        return render

    def unless_empty(value: Any, time_ms: int) -> Any:
        if is_empty(value):
            return None if empty is None else empty(time_ms)
        return value if render is None else render(value, time_ms)

    return unless_empty


def _pending(mapping: Mapping) -> Written | None:
    said, finish = mapping.pending, finish_of(mapping)
    return None if said is None else (lambda time_ms: finish(said, False, time_ms))


def _empty(mapping: Mapping, place: str) -> Written | None:
    """What an emptied value becomes; None: it says nothing."""
    said, finish = mapping.empty, finish_of(mapping)
    if said is not None:
        return lambda time_ms: finish(said, True, time_ms)
    if _looks_inside(mapping) and (render := render_of(mapping)) is not None:
        return lambda time_ms: render("", time_ms)
    return (lambda _time_ms: EMPTIED) if is_preference(place) else None


def _absent(mapping: Mapping) -> Written:
    """What a choice becomes that is not named any more. A preference counts as emptied then."""
    said, finish = mapping.absent, finish_of(mapping)
    if said is not None:
        return lambda time_ms: finish(said, True, time_ms)
    place = mapping.value or ""
    empty = _empty(mapping, place) if is_preference(place) else None
    return empty or (lambda _time_ms: EMPTIED)


plan_of: Final = Derived("plan", _plan).of
"""The plan of an integration."""

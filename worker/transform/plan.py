"""What the mappings of an integration come to, worked out once and not for each event. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from worker.integrations.formats import CONTAINS
from worker.integrations.mapping import Mapping
from worker.integrations.model import Integration
from worker.integrations.values import is_fact, kind_of
from worker.transform.render import Render, finish_of, render_of

_OF_THE_USER: Final = frozenset({"organization_user_id", "country", "last_seen_country"})


class Entry(NamedTuple):
    """One mapping: `place` of the event → `target`. `is_fact`: it tells of the event, not of a
    choice. `pending`: what a consent that still has to be confirmed becomes, by the time of the
    choice (milliseconds since the epoch); None: nothing.
    """

    target: str
    place: str
    render: Render | None
    is_fact: bool
    pending: Callable[[int], Any] | None


@dataclass(frozen=True, slots=True)
class Plan:
    """`entries`, in the order of the file, and `constants` that go along with them. `companions`
    are the targets that make no message by themselves: constants, and facts of the event.

    `wanted`: the places that some mapping names. Of these, `free` may hold anything, and
    `emptiable` say something though they are empty. The rest tells which parts of an event are
    looked at at all; `wants_more`, whether any but the choices for purposes.
    """

    entries: tuple[Entry, ...]
    constants: tuple[tuple[str, Any], ...]
    companions: frozenset[str]
    wanted: frozenset[str]
    free: frozenset[str]
    emptiable: frozenset[str]
    wants_more: bool
    wants_user: bool
    wants_channels: bool
    wants_purpose_metadata: bool
    wants_beyond: bool
    may_be_pending: bool


def plan_of(integration: Integration) -> Plan:
    """The plan of an integration; made again when a changed one is in force."""
    known = _plans.get(integration.id)
    if known is None or known[0] is not integration:
        known = _plans[integration.id] = (integration, _plan(integration))
    return known[1]


_plans: dict[str, tuple[Integration, Plan]] = {}


def _plan(integration: Integration) -> Plan:
    mapped = [(one, one.value) for one in integration.mappings if one.value is not None]
    wanted = frozenset(place for _, place in mapped)
    emptiable = frozenset(place for one, place in mapped if _speaks_of_emptiness(one))
    wants_user = any(one in _OF_THE_USER or one.startswith("metadata_") for one in wanted)
    wants_channels = any(one.startswith("consents_channel") for one in wanted)
    wants_purpose_metadata = any(
        one.startswith("consents_purposes_") and "_metadata_" in one for one in wanted
    )
    wants_beyond = any(
        is_fact(one) or one.startswith(("consents_vendors_", "consents_tcfcs")) for one in wanted
    )
    return Plan(
        entries=tuple(
            Entry(one.id, place, _render(one, emptiable), is_fact(place), _pending(one))
            for one, place in mapped
        ),
        constants=tuple((one.id, one.constant) for one in integration.mappings if not one.value),
        companions=frozenset(
            one.id for one in integration.mappings if one.value is None or is_fact(one.value)
        ),
        wanted=wanted,
        free=frozenset(place for place in wanted if kind_of(place) == "any"),
        emptiable=emptiable,
        wants_more=wants_user or wants_channels or wants_purpose_metadata or wants_beyond,
        wants_user=wants_user,
        wants_channels=wants_channels,
        wants_purpose_metadata=wants_purpose_metadata,
        wants_beyond=wants_beyond,
        may_be_pending=any(one.pending is not None for one in integration.mappings),
    )


def _speaks_of_emptiness(mapping: Mapping) -> bool:
    """An empty preference contains nothing, which is an answer; to all other formats it is none."""
    return mapping.format[0].startswith(CONTAINS)


def _render(mapping: Mapping, emptiable: frozenset[str]) -> Render | None:
    """Beside a mapping that speaks of emptiness another one of the same place says nothing then."""
    render = render_of(mapping)
    if mapping.value not in emptiable or _speaks_of_emptiness(mapping):
        return render

    def unless_empty(value: Any, time_ms: int) -> Any:
        if value in ("", [], {}):
            return None
        return value if render is None else render(value, time_ms)

    return unless_empty


def _pending(mapping: Mapping) -> Callable[[int], Any] | None:
    said, finish = mapping.pending, finish_of(mapping)
    return None if said is None else (lambda time_ms: finish(said, False, time_ms))

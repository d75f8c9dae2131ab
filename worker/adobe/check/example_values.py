"""What the mappings of an integration send: one example of each sort of value. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from worker.adobe.check.resolved_schema import AnyText
from worker.integrations.attribute_mapping import Mapping
from worker.integrations.mapping_sources import kind_of
from worker.integrations.model import Integration
from worker.transform.flattening import attributes_of
from worker.transform.mapping_plan import plan_of

A_TIME: Final = "2026-01-01T00:00:00.000Z"


def sent_values(mapping: Mapping) -> list[Any]:
    """Every sort of value that the mapping can send; of texts that an event brings `AnyText`, and
    none of free data that is sent as it is.
    """
    values = _by_format(mapping) if mapping.constant is None else [mapping.constant]
    instead = (mapping.pending, mapping.empty, mapping.absent)
    values = [*values, *(one for one in instead if one is not None)]
    name = mapping.time_name
    if name is None:
        return values
    return [one | {name: A_TIME} if isinstance(one, dict) else one for one in values]


def _by_format(mapping: Mapping) -> list[Any]:
    kind = kind_of(mapping.value or "")
    match mapping.format[-1]:
        case "consent-val":
            return [{"val": "y"}, {"val": "n"}]
        case "y-n":
            return ["y", "n"]
        case "text":
            return [AnyText()]
        case "list":
            return [[AnyText()]]
        case "as-is" if kind != "choice":
            return [AnyText()] if kind == "text" else []
        case _:
            return [True, False]


def sent_times(integration: Integration) -> Iterator[str]:
    """The paths that get the time of a choice."""
    if integration.event_time_path is not None:
        yield integration.event_time_path
    for mapping in integration.mappings:
        yield from mapping.targets[1:]


def refusals(integration: Integration, now_ms: int) -> dict[str, Any]:
    """Every choice refused at `now_ms`, by mapping id: what a test record says."""
    plan = plan_of(integration)
    said = {one.place: False for one in plan.entries if kind_of(one.place) == "choice"}
    return attributes_of(plan, said, now_ms, is_pending=False).said

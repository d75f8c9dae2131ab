"""A message that replaces the record at Adobe says all that is known of the person. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.integrations.model import Integration
from worker.ordering.snapshot_fold import Known
from worker.ordering.stamp import Said, Stamp
from worker.transform.kept_sources import render_source
from worker.transform.mapping_plan import Plan, plan_of


def whole_record(
    integration: Integration, known: Known, attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """What a whole record says: `attributes`, and for all other mapped paths what stands of the
    user, as the integration writes it today.
    """
    plan = plan_of(integration)
    record = dict(attributes)
    for path, said in known.said.items():
        if path not in record and path in plan.by_target:
            value = _value(plan, path, said, known.stamps[path])
            if value is not None:
                record[path] = value
                _add_time_found(integration, record, path, said)
    return record


def _add_time_found(
    integration: Integration, record: dict[str, Any], path: str, said: Said
) -> None:
    """When a choice that was found at Adobe was made, as far as that was found beside it."""
    if said.source is None or said.source[0] is not None or said.source[1][1] is None:
        return
    time_path = next((one.time_path for one in integration.mappings if one.id == path), None)
    if time_path is not None:
        record[time_path] = said.source[1][1]


def paths_without_value(integration: Integration, known: Known) -> set[str]:
    """Mapped paths that were sent for the user, and of which nobody knows any more what: a message
    without them would erase them.
    """
    return {
        path
        for path in plan_of(integration).by_target
        if path in known.stamps and not _tells_value(known.said.get(path))
    }


def _tells_value(said: Said | None) -> bool:
    return said is not None and (said.is_taken_back or said.source is not None)


def _value(plan: Plan, path: str, said: Said, stamp: Stamp) -> Any:
    if said.is_taken_back:
        time_ms = stamp.time_ms if said.source is None else said.source[1]
        return plan.absent_at(time_ms).get(path)
    if said.source is None:
        return None
    if said.source[0] is None:  # as it was found at Adobe
        return said.source[1][0]
    return render_source(plan, path, said.source, stamp.time_ms)

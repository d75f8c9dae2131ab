"""A message that replaces the record at Adobe says all that is known of the person. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.integrations.model import Integration
from worker.ordering.known import Said
from worker.ordering.newest import Stamp
from worker.ordering.snapshots import Known
from worker.transform.plan import Plan, plan_of
from worker.transform.sources import render_source


def whole_record(
    integration: Integration, known: Known, attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """`attributes`, and for all other mapped paths what stands of the user, as the integration
    writes it today.
    """
    plan = plan_of(integration)
    record = dict(attributes)
    for path, said in known.said.items():
        if path not in record and path in plan.by_target:
            value = _value(plan, path, said, known.stamps[path])
            if value is not None:
                record[path] = value
    return record


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
        return plan.absent_at(stamp.time_ms).get(path)
    if said.source is None:
        return None
    if said.source[0] is None:  # as it was found at Adobe
        return said.source[1]
    return render_source(plan, path, said.source, stamp.time_ms)

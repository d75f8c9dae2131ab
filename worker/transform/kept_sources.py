"""What is kept of an attribute so that it can be written again later: what the event said, and not
how it was written, so that a changed mapping writes it anew. Pure.

A source is JSON: the place of the event, its value there, and whether it still has to be confirmed.
A constant has the place "", and what a snapshot does not name any more the value null. Of a list
the lists and objects in it are left out: no format writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.integrations.model import Integration
from worker.transform.decision_types import Deliver, Source
from worker.transform.flattening import written
from worker.transform.format_rendering import UnusableValue
from worker.transform.mapping_plan import Plan


def with_record(
    choice: Deliver,
    integration: Integration,
    plan: Plan,
    flat: Mapping[str, Any],
    *,
    is_pending: bool,
) -> Deliver:
    """`choice` with what others need of it who put more into its message, or less; `flat` are the
    places of its event.
    """
    sources = None
    if integration.replaces_record:
        if plan.free:
            flat = {**flat, **_kept_lists(plan, flat)}
        places = {path: plan.by_target[path].place for path in choice.attributes}
        sources = {path: [place, flat.get(place), is_pending] for path, place in places.items()}
    return choice._replace(companions=plan.companions, sources=sources)


def _kept_lists(plan: Plan, flat: Mapping[str, Any]) -> dict[str, Any]:
    """The lists that stand where anything may, as far as they can be written."""
    lists = {place: flat.get(place) for place in plan.free}
    return {
        place: [one for one in value if not isinstance(one, list | dict)]
        for place, value in lists.items()
        if isinstance(value, list)
    }


def absent_source(plan: Plan, path: str) -> Source:
    """The source of a path that becomes `Deliver.absent`. It must be one of the plan's."""
    return [plan.by_target[path].place, None, False]


def render_source(plan: Plan, path: str, source: Source, time_ms: int) -> Any:
    """What `source`, said of `path` at `time_ms` (since the epoch), comes to by the plan of today,
    as in `Deliver.attributes`. None if no mapping writes it any more, takes another place for it,
    or can write what was said.
    """
    entry = plan.by_target.get(path)
    place, value, is_pending = source
    if entry is None or entry.place != place:
        return None
    if value is None and place:
        return plan.absent_at(time_ms)[path]
    try:
        return written(entry, value, time_ms, is_pending=is_pending)
    except UnusableValue:
        return None

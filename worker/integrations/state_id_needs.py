"""Which integrations need to know where their state is, and how they are told. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from worker.integrations.directory import Readings
from worker.integrations.missing_integrations import Seen
from worker.integrations.version_claims import Assignment


@dataclass(frozen=True, slots=True)
class Standing:
    """What the integrations' directory says: the target (`Integration.target_digest`) of each id in
    force whose file is there; the `doubtful` ids, which are perhaps in force though no good file
    says so; and the state ids by which the worker works already.
    """

    targets: Mapping[str, str]
    doubtful: frozenset[str] = frozenset()
    known: Mapping[str, str] = field(default_factory=dict)

    def is_as(self, other: Standing | None) -> bool:
        """Whether the integrations' files say the same; whatever the worker works by."""
        if other is None:
            return False
        return (self.targets, self.doubtful) == (other.targets, other.doubtful)


AskStates = Callable[[Standing], Awaitable[Mapping[str, str] | None]]
"""Tells the state id of each id in force; None while nobody can tell."""


def standing_of(
    assignment: Assignment, gone: Collection[Seen], known: Mapping[str, str]
) -> Standing:
    """What the integrations' directory says. `gone` are those that were in force lately, one of
    which may be in a file that is bad.
    """
    targets = {
        one: in_force.integration.target_digest
        for one, in_force in assignment.in_force.items()
        if in_force.missed_at is None
    }
    doubtful = {one for ids in assignment.broken.values() for one in ids}
    bad = {one.path.name for one in assignment.problems}
    doubtful |= {one.integration_id or one.path.stem for one in assignment.problems}
    doubtful |= {one.integration_id for one in gone if one.file_name in bad}
    return Standing(targets, frozenset(doubtful - targets.keys()), known)


def with_state_ids(readings: Readings, state_ids: Mapping[str, str]) -> Readings:
    """`readings` with integrations that know where their state is; the same object when they do
    already.
    """
    changed = {}
    for path, reading in readings.items():
        integration = reading.content.integration
        if integration is None:
            continue
        named = integration.with_state_id(state_ids.get(integration.id, integration.id))
        if named is not integration:
            content = replace(reading.content, integration=named)
            changed[path] = replace(reading, content=content)
    return {**readings, **changed} if changed else readings

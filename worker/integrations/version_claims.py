"""Which version of which integration is in force, when files come, change, break and go. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from worker import shortened_lists as listing
from worker.integrations.directory import Readings
from worker.integrations.loading import InvalidIntegration, is_usable_id
from worker.integrations.model import Integration
from worker.integrations.safe_files import printable


@dataclass(frozen=True, slots=True)
class InForce:
    """An integration, the file that it is from, and when that was first missed (None: it is there).

    `missed_at` is in seconds of the registry's clock.
    """

    integration: Integration
    path: Path
    missed_at: float | None = None


@dataclass(slots=True)
class Assignment:
    """The integrations in force by id, what is wrong with files, and who is harmed by that.

    `broken` has, by organization, the ids without a version in force; `unreadable` are files whose
    organization can't be told.
    """

    in_force: dict[str, InForce] = field(default_factory=dict)
    problems: list[InvalidIntegration] = field(default_factory=list)
    broken: dict[str, list[str]] = field(default_factory=dict)
    unreadable: list[Path] = field(default_factory=list)


def assign(
    readings: Readings, before: Mapping[str, InForce], now: float, grace_seconds: float
) -> Assignment:
    """Give each integration's id to one file at most.

    Who had an id keeps it, even while the file is bad; of several newcomers none gets it. A bad
    file keeps its last good version in force, and so does a vanished one for `grace_seconds`.
    """
    assignment = Assignment()
    conflicts = _give_ids(readings, before, assignment)
    problems = {
        path: one.content.problem for path, one in readings.items() if one.content.problem
    } | conflicts
    for integration_id, known in before.items():
        if integration_id in assignment.in_force:
            continue
        if known.path in problems:
            assignment.in_force[integration_id] = InForce(known.integration, known.path)
        elif known.path not in readings:
            missed_at = now if known.missed_at is None else known.missed_at
            if now - missed_at < grace_seconds:
                missing = InForce(known.integration, known.path, missed_at)
                assignment.in_force[integration_id] = missing
    assignment.problems = [problems[path] for path in sorted(problems)]
    _find_harmed(assignment)
    return assignment


def _give_ids(
    readings: Readings, before: Mapping[str, InForce], assignment: Assignment
) -> dict[Path, InvalidIntegration]:
    """Put good files into force; what is wrong with good ones whose id is another's."""
    conflicts: dict[Path, InvalidIntegration] = {}
    for integration_id, paths in _claims(readings, before).items():
        known = before.get(integration_id)
        owner = known.path if known is not None and known.path in paths else None
        if owner is None and len(paths) == 1:
            owner = paths[0]
        for path in paths:
            integration = readings[path].content.integration
            if path is owner or path == owner:
                version = integration or _inherited(readings, path, known)
                if version is not None:
                    assignment.in_force[integration_id] = _in_force(version, path, known)
            elif integration is not None:
                others = [owner] if owner else [one for one in paths if one != path]
                by = listing.names([one.name for one in others])
                sentence = f"id: {integration_id!r} is taken by {printable(by)}"
                conflicts[path] = InvalidIntegration(
                    path, [sentence], integration_id, integration.organization_id
                )
    return conflicts


def _in_force(version: Integration, path: Path, known: InForce | None) -> InForce:
    """What is unchanged stays the same object: by that lanes, and we, tell a change."""
    if known is None:
        return InForce(version, path)
    kept = known.integration
    # To Python 1 equals true; the digest of the file's JSON tells them apart.
    if kept is not version and kept == version and kept.version == version.version:
        version = kept
    is_there = known.missed_at is None and (known.path is path or known.path == path)
    return known if kept is version and is_there else InForce(version, path)


def _claims(readings: Readings, before: Mapping[str, InForce]) -> dict[str, list[Path]]:
    """The files that want each id: good and bad ones that name it, and bad ones that had it."""
    had = {known.path: integration_id for integration_id, known in before.items()}
    claims: dict[str, list[Path]] = defaultdict(list)
    for path, reading in readings.items():
        content = reading.content
        if content.integration is not None:
            claims[content.integration.id].append(path)
        elif content.problem is not None:
            named = {content.problem.integration_id, had.get(path)}
            for integration_id in named - {None}:
                claims[str(integration_id)].append(path)
    return claims


def _inherited(readings: Readings, path: Path, known: InForce | None) -> Integration | None:
    """The version that a bad file keeps: its own, or that of a file that it has replaced."""
    if known is None:
        return None
    problem = readings[path].content.problem
    has_moved = known.path not in readings and problem is not None
    if known.path == path or (
        has_moved and problem and problem.organization_id == known.integration.organization_id
    ):
        return known.integration
    return None


def _find_harmed(assignment: Assignment) -> None:
    in_force = assignment.in_force
    kept = {one.path: one.integration for one in in_force.values()}
    broken: dict[str, set[str]] = defaultdict(set)
    for problem in assignment.problems:
        organization = problem.organization_id
        if organization is None:
            assignment.unreadable.append(problem.path)
        elif problem.path not in kept or kept[problem.path].organization_id != organization:
            broken[organization].add(_name(problem, in_force))
    assignment.broken = {one: sorted(ids) for one, ids in broken.items()}


def _name(problem: InvalidIntegration, in_force: Mapping[str, InForce]) -> str:
    """What dead letters call it: never an id that another file has in force."""
    own, stem = problem.integration_id, problem.path.stem
    if own is not None and (own not in in_force or in_force[own].path == problem.path):
        return own
    return stem if is_usable_id(stem) and stem not in in_force else "unknown"

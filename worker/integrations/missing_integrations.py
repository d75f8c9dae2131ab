"""Which integrations should have events and can't have them now. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from worker.integrations.model import Missing
from worker.integrations.recently_in_force import Seen
from worker.integrations.safe_files import printable
from worker.integrations.version_claims import Assignment


@dataclass(frozen=True, slots=True)
class MissingIntegrations:
    """`by_organization` has ids and why each is missing; `gone` are those that were in force
    lately. `replaced` have another id now, and are not missing. `doubt_about_all` says why any
    organization may have one more integration than is known.
    """

    by_organization: Mapping[str, Mapping[str, Missing]] = field(default_factory=dict)
    gone: frozenset[Seen] = frozenset()
    replaced: frozenset[tuple[str, str]] = frozenset()
    doubt_about_all: str | None = None


def find_missing(assignment: Assignment, lately: Collection[Seen]) -> MissingIntegrations:
    """Compare what is in force with what was `lately`."""
    in_force = [one.integration for one in assignment.in_force.values()]
    keys = {(one.organization_id, one.id) for one in in_force}
    contents = {(one.organization_id, one.content_digest) for one in in_force}
    absent = [one for one in lately if one.key not in keys]
    replaced = {one.key for one in absent if (one.organization_id, one.content) in contents}
    gone = frozenset(one for one in absent if one.key not in replaced)
    missing: dict[str, dict[str, Missing]] = defaultdict(dict)
    for one in sorted(gone):
        missing[one.organization_id][one.integration_id] = "gone"
    for organization, ids in assignment.broken.items():
        missing[organization].update(dict.fromkeys(ids, "broken"))
    return MissingIntegrations(
        dict(missing), gone, frozenset(replaced), _doubt_about_all(assignment, lately)
    )


def _doubt_about_all(assignment: Assignment, lately: Collection[Seen]) -> str | None:
    """A bad file by whose name an integration is known is not anybody's: it is missed by name."""
    known = {one.path.name for one in assignment.in_force.values()}
    known.update(one.file_name for one in lately)
    for path in assignment.unreadable:
        if path.name not in known:
            return f"the file {printable(path.name)} does not tell its organization"
    return None

"""The integrations in force, by what they are looked up by. Pure."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.integrations.model import Integration
from worker.integrations.version_claims import Assignment, InForce


@dataclass(frozen=True, slots=True)
class Index:
    """The integrations in force, by what they are looked up by: enabled ones and disabled ones by
    organization, and the ids that files have, be they good or bad. `version` is the same where the
    same versions of the same integrations are in force.
    """

    assignment: Assignment = field(default_factory=Assignment)
    enabled: Mapping[str, list[Integration]] = field(default_factory=dict)
    disabled: Mapping[str, list[Integration]] = field(default_factory=dict)
    known_ids: frozenset[str] = frozenset()
    version: str = ""


def index_of(assignment: Assignment) -> Index:
    """The index of the integrations in force. Pure, so that it can be made beside the events that
    are looked up meanwhile.
    """
    enabled: dict[str, list[Integration]] = defaultdict(list)
    disabled: dict[str, list[Integration]] = defaultdict(list)
    in_force = assignment.in_force
    has_state = {one.integration.state_id for one in in_force.values() if one.missed_at is None}
    for integration_id in sorted(in_force):
        known = in_force[integration_id]
        integration = known.integration
        if known.missed_at is not None and integration.state_id in has_state:
            continue  # another one has taken over: this one ends what it has begun
        by_organization = enabled if integration.enabled else disabled
        by_organization[integration.organization_id].append(integration)
    broken = (one for ids in assignment.broken.values() for one in ids)
    known_ids = frozenset([*in_force, *broken])
    return Index(assignment, dict(enabled), dict(disabled), known_ids, _version(in_force))


def _version(in_force: Mapping[str, InForce]) -> str:
    versions = "".join(f"{one} {in_force[one].integration.version}\n" for one in sorted(in_force))
    return hashlib.sha256(versions.encode()).hexdigest()[:16]

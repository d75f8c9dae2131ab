"""The integrations in force, looked up from memory by organization and by id."""

from __future__ import annotations

from collections import defaultdict

from worker.integrations.model import Integration
from worker.integrations.version_claims import Assignment


class IntegrationsInForce:
    """None at first; `_index` puts others into force."""

    def __init__(self) -> None:
        self._assignment = Assignment()
        self._enabled: dict[str, list[Integration]] = {}
        self._disabled: dict[str, list[Integration]] = {}
        self._known_ids: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self._assignment.in_force)

    @property
    def integrations(self) -> list[Integration]:
        """All that are in force, disabled ones too, by id."""
        in_force = self._assignment.in_force
        return [in_force[one].integration for one in sorted(in_force)]

    @property
    def has_any(self) -> bool:
        """Whether any integration is in force, be it enabled or not."""
        return bool(self._assignment.in_force)

    def for_organization(self, organization_id: str) -> list[Integration]:
        """The enabled integrations of a Didomi organization, paused ones too."""
        return self._enabled.get(organization_id, [])

    def disabled_for(self, organization_id: str) -> list[Integration]:
        """The organization's integrations that are not enabled."""
        return self._disabled.get(organization_id, [])

    def get(self, integration_id: str) -> Integration | None:
        """The version that is in force, enabled or not; None where there is none."""
        known = self._assignment.in_force.get(integration_id)
        return known.integration if known else None

    def is_enabled(self, integration_id: str) -> bool:
        """Whether there is such an integration, and it is enabled."""
        integration = self.get(integration_id)
        return integration is not None and integration.enabled

    def knows(self, integration_id: str) -> bool:
        """Whether a file has this id, be it a good one or not."""
        return integration_id in self._known_ids

    def _index(self, assignment: Assignment) -> None:
        """Put these into force, and no others."""
        self._assignment = assignment
        enabled: dict[str, list[Integration]] = defaultdict(list)
        disabled: dict[str, list[Integration]] = defaultdict(list)
        known = self._assignment.in_force
        has_state = {one.integration.state_id for one in known.values() if one.missed_at is None}
        for integration in self.integrations:
            is_vanished = known[integration.id].missed_at is not None
            if is_vanished and integration.state_id in has_state:
                continue  # another one has taken over: this one ends what it has begun
            by_organization = enabled if integration.enabled else disabled
            by_organization[integration.organization_id].append(integration)
        self._enabled, self._disabled = dict(enabled), dict(disabled)
        broken = (one for ids in self._assignment.broken.values() for one in ids)
        self._known_ids = frozenset([*self._assignment.in_force, *broken])

"""The integrations as the pipeline sees them: with the mode that is in force for their inlet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from worker.delivery.inlets.known_inlets import KnownInlets
from worker.integrations.model import Integration, Missing


class Routes(Protocol):
    """Knows the integrations."""

    def for_organization(self, organization_id: str) -> list[Integration]: ...
    def undoubted_for(self, organization_id: str) -> list[Integration]: ...
    def disabled_for(self, organization_id: str) -> list[Integration]: ...
    def doubt_about(self, organization_id: str) -> str | None: ...
    def get(self, integration_id: str) -> Integration | None: ...
    def missing_for(self, organization_id: str) -> Mapping[str, Missing]: ...
    def doubt_about_all(self) -> str | None: ...


class RoutesInForce:
    """`routes`, where an integration that is enabled has the mode that is in force."""

    def __init__(self, routes: Routes, inlets: KnownInlets) -> None:
        self._routes = routes
        self._inlets = inlets
        self.disabled_for = routes.disabled_for
        self.doubt_about = routes.doubt_about
        self.missing_for = routes.missing_for
        self.doubt_about_all = routes.doubt_about_all

    def for_organization(self, organization_id: str) -> list[Integration]:
        """The integrations of an organization that are enabled."""
        in_force = self._inlets.in_force
        return [in_force(one) for one in self._routes.for_organization(organization_id)]

    def undoubted_for(self, organization_id: str) -> list[Integration]:
        """The enabled integrations of an organization, where they are all that there is to know;
        else empty.
        """
        found = self._routes.undoubted_for(organization_id)
        for one in found:
            if one.payload_mode == "auto":
                return [self._inlets.in_force(each) for each in found]
        return found

    def get(self, integration_id: str) -> Integration | None:
        """The integration with this id."""
        found = self._routes.get(integration_id)
        return self._inlets.in_force(found) if found is not None and found.enabled else found

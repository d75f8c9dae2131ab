"""What an event asks of the integrations: who is in force, who is missing, where there is doubt.

An integration that was in force lately, and is not now, is missed for a day: its file may be gone
by mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

from worker.integrations.lookup_index import Index
from worker.integrations.missing_integrations import (
    MissingIntegrations,
    RecentIntegrations,
    Seen,
    find_missing,
)
from worker.integrations.model import Integration, Missing
from worker.integrations.safe_files import printable
from worker.integrations.version_claims import Assignment, InForce


class IntegrationsInForce:
    """The integrations in force: none at first; another index puts others into force."""

    def __init__(self) -> None:
        self._index = Index()

    @property
    def _assignment(self) -> Assignment:
        return self._index.assignment

    def __len__(self) -> int:
        return len(self._assignment.in_force)

    @property
    def integrations(self) -> list[Integration]:
        """All integrations that are in force, disabled ones too, by id."""
        in_force = self._assignment.in_force
        return [in_force[one].integration for one in sorted(in_force)]

    @property
    def known_ids(self) -> frozenset[str]:
        """The ids that integrations' files have, be they good or bad."""
        return self._index.known_ids

    @property
    def version(self) -> str:
        """The same where the same versions of the same integrations are in force."""
        return self._index.version

    @property
    def has_any(self) -> bool:
        """Whether any integration is in force, be it enabled or not."""
        return bool(self._assignment.in_force)

    def for_organization(self, organization_id: str) -> list[Integration]:
        """The enabled integrations of a Didomi organization, paused ones too."""
        return self._index.enabled.get(organization_id, [])

    def disabled_for(self, organization_id: str) -> list[Integration]:
        """The organization's integrations that are not enabled."""
        return self._index.disabled.get(organization_id, [])

    def get(self, integration_id: str) -> Integration | None:
        """The version of the integration in force, enabled or not; None where there is none."""
        known = self._assignment.in_force.get(integration_id)
        return known.integration if known else None

    def file_of(self, integration_id: str) -> Path | None:
        """The file of the version of the integration that is in force."""
        known = self._assignment.in_force.get(integration_id)
        return known.path if known else None

    def is_enabled(self, integration_id: str) -> bool:
        """Whether there is such an integration, and it is enabled."""
        integration = self.get(integration_id)
        return integration is not None and integration.enabled

    def knows(self, integration_id: str) -> bool:
        """Whether an integration's file has this id, be it a good one or not."""
        return integration_id in self._index.known_ids


_NONE: Final[Mapping[str, Missing]] = {}


class IntegrationLookup(IntegrationsInForce):
    """What an event asks of the integrations. `is_strict`: events of an organization that nothing
    is known of are parked. `clock` is in seconds.
    """

    def __init__(self, clock: Callable[[], float], *, is_strict: bool) -> None:
        super().__init__()
        self._clock = clock
        self._is_strict = is_strict
        self._trouble: str | None = None  # of the directory as a whole
        self._recent = RecentIntegrations()
        self._missing = MissingIntegrations()
        self._seen_now: dict[str, tuple[InForce, str]] = {}
        self._undoubted: dict[str, list[Integration]] = {}
        self._ids_seen: set[str] = set()

    def has_known(self, integration_id: str) -> bool:
        """Whether an integration's file has this id, or had it since the start or within 24 h
        before. What waits for it is told under that id to its end, which comes when nobody misses
        it any more.
        """
        return integration_id in self._index.known_ids or integration_id in self._ids_seen

    def undoubted_for(self, organization_id: str) -> list[Integration]:
        """As `for_organization`, where these integrations are all that there is to know: none is
        disabled or missing, and there may be no others. Else empty. One look for each event, so
        known beforehand.
        """
        return self._undoubted.get(organization_id, [])

    def missing_for(self, organization_id: str) -> Mapping[str, Missing]:
        """Ids of the organization's integrations that should have its events and can't have them
        now: `broken` ones have no valid version, `gone` ones were in force within 24 h.
        """
        return self._missing.by_organization.get(organization_id, _NONE)

    def doubt_about_all(self) -> str | None:
        """Why any organization may have one more integration than is known, in words."""
        return self._missing.doubt_about_all

    def doubt_about(self, organization_id: str) -> str | None:
        """Why events of an organization of which no integration is known must wait, in words.

        None: nothing speaks against skipping them.
        """
        if self._is_strict:
            return "CONSENT_WORKER_UNKNOWN_ORGANIZATION is park"
        if not self.has_any:
            return "there is no valid integration at all"
        if self._trouble is not None:
            return "the integrations' directory can't be read"
        if self._assignment.unreadable:
            name = printable(self._assignment.unreadable[0].name)
            return f"the file {name} does not tell its organization"
        if organization_id in self._missing.by_organization:
            return "the organization had a valid integration within the last 24 hours"
        return None

    @property
    def missing(self) -> frozenset[Seen]:
        """The integrations that were in force within 24 h, and have neither a file nor their
        organization any more. Of one whose file is bad the file is told of.
        """
        return self._missing.gone - self._in_bad_files()

    def _in_bad_files(self) -> frozenset[Seen]:
        bad = {one.path.name for one in self._assignment.problems}
        return frozenset(one for one in self._missing.gone if one.file_name in bad)

    def lately_in_force(self) -> set[str]:
        """The integrations that others, and who comes after a restart, are to remember for the next
        24 h: enabled ones, and those that are gone but for a file that can't be read.
        """
        seen_now = {text for _, text in self._seen_now.values()}
        return seen_now | {one.encode() for one in self._in_bad_files()}

    def lately_dismissed(self) -> set[str]:
        """The integrations that others are to forget: disabled by somebody, or with another id."""
        return self._recent.dismissed()

    def remember(self, seen: Collection[str]) -> None:
        """Take over the integrations told by all workers' `lately_in_force` in the last 24 h."""
        if self._recent.remember(seen):
            self._index_missing()

    def _seen_in(self, assignment: Assignment) -> dict[str, tuple[InForce, str]]:
        """What others are to remember of what is in force."""
        return {
            one: _seen_text(known, self._seen_now.get(one))
            for one, known in assignment.in_force.items()
            if known.integration.enabled
        }

    def _note_lost(self, before: Mapping[str, InForce], now: float) -> None:
        """Learn from what is in force, and was `before`, who is lost and who was meant to go."""
        in_force = self._assignment.in_force
        for integration_id, known in before.items():
            if in_force.get(integration_id) is known:
                continue
            organization = known.integration.organization_id
            after = self.get(integration_id)
            if after is not None and after.organization_id == organization:
                continue
            if known.integration.enabled:
                self._recent.lose(_seen(known), now)
            else:
                self._recent.dismiss((organization, integration_id), now)
        for integration_id, known in in_force.items():
            if before.get(integration_id) is known:
                continue
            integration = known.integration
            key = (integration.organization_id, integration.id)
            if integration.enabled:
                self._recent.welcome(key)
            else:
                self._recent.dismiss(key, now)
        self._recent.forget_old(now)

    def _index_missing(self) -> None:
        """Who is missing; looked up for each event, so known beforehand."""
        self._missing = find_missing(self._assignment, list(self._recent.lately()))
        # Bad files as well: what waits for one is told under its id, and so is its end.
        self._ids_seen.update(self._recent.ids(), self._index.known_ids)
        now = self._clock()
        for key in self._missing.replaced:
            self._recent.dismiss(key, now)
        doubtful = self._index.disabled.keys() | self._missing.by_organization.keys()
        self._undoubted = (
            {}
            if self._missing.doubt_about_all is not None
            else {one: known for one, known in self._index.enabled.items() if one not in doubtful}
        )


def _seen_text(known: InForce, before: tuple[InForce, str] | None) -> tuple[InForce, str]:
    """What others are to remember of it, made anew only for what has changed."""
    if before is not None and before[0] is known:
        return before
    return known, _seen(known).encode()


def _seen(known: InForce) -> Seen:
    integration = known.integration
    return Seen(
        integration.organization_id, integration.id, known.path.name, integration.content_digest
    )

"""The integrations in force: the last good version of each, looked up by organization."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from worker.integrations.loading import (
    EndpointCheck,
    InvalidIntegration,
    InvalidIntegrations,
    Loaded,
    integration_files,
    load_directory,
)
from worker.integrations.model import Integration


@dataclass(frozen=True, slots=True)
class Change:
    """What a reload did: ids that are new or changed, ids that are gone, and problems."""

    loaded: tuple[str, ...]
    removed: tuple[str, ...]
    problems: tuple[str, ...]


class IntegrationRegistry:
    """`load` is strict, for the start; `refresh` keeps the last good version of a bad file."""

    def __init__(
        self,
        directory: Path,
        endpoint_check: EndpointCheck,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._directory = directory
        self._endpoint_check = endpoint_check
        self._env = os.environ if env is None else env
        self._by_id: dict[str, Integration] = {}
        self._path_of: dict[str, Path] = {}
        self._by_organization: dict[str, list[Integration]] = {}
        self._broken: dict[str, list[str]] = {}
        self._seen: dict[str, tuple[int, int]] | None = {}  # None: could not be listed
        self.problems: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def integrations(self) -> list[Integration]:
        """All of them, disabled ones too, by id."""
        return [self._by_id[one] for one in sorted(self._by_id)]

    def load(self) -> None:
        """Load all files. Raises `InvalidIntegrations` when one of them is bad."""
        try:
            self._seen = self._stamps()
            loaded = load_directory(self._directory, self._env, self._endpoint_check)
        except InvalidIntegration as problem:
            raise InvalidIntegrations([problem]) from None
        if loaded.problems:
            raise InvalidIntegrations(loaded.problems)
        self._adopt(loaded)

    def for_organization(self, organization_id: str) -> list[Integration]:
        """The enabled integrations of a Didomi organization."""
        return self._by_organization.get(organization_id, [])

    def disabled_for(self, organization_id: str) -> list[Integration]:
        """The disabled integrations of a Didomi organization."""
        return [
            one
            for one in self._by_id.values()
            if one.organization_id == organization_id and not one.enabled
        ]

    def doubt_about(self, organization_id: str) -> str | None:
        """Why an event of an organization that nothing is known of must wait; None to skip it."""
        return None if self._by_id else "no integration is valid"

    def get(self, integration_id: str) -> Integration | None:
        return self._by_id.get(integration_id)

    def is_enabled(self, integration_id: str) -> bool:
        """Whether there is such an integration, and it is enabled."""
        integration = self._by_id.get(integration_id)
        return integration is not None and integration.enabled

    def is_broken_for(self, organization_id: str) -> list[str]:
        """Ids of the organization's integrations that never had a good version."""
        return self._broken.get(organization_id, [])

    def knows(self, integration_id: str) -> bool:
        """Whether a file has this id, be it a good one or not."""
        return integration_id in self._by_id or any(
            integration_id in broken for broken in self._broken.values()
        )

    def refresh(self) -> Change | None:
        """Reload if a file has changed; None when nothing has."""
        try:
            stamps = self._stamps()
            if stamps == self._seen:
                return None
            loaded = load_directory(self._directory, self._env, self._endpoint_check)
        except InvalidIntegration as problem:
            return self._keep_all(problem)
        self._seen = stamps
        before = dict(self._by_id)
        self._adopt(loaded)
        changed = tuple(i for i, one in self._by_id.items() if before.get(i) is not one)
        return Change(changed, tuple(set(before) - set(self._by_id)), self.problems)

    async def watch(self, interval_seconds: float, on_change: Callable[[Change], None]) -> None:
        """Look for changes every `interval_seconds`, for ever."""
        while True:
            await asyncio.sleep(interval_seconds)
            change = await asyncio.to_thread(self.refresh)
            if change is not None:
                on_change(change)

    def _keep_all(self, problem: InvalidIntegration) -> Change | None:
        """A volume that is away for a moment must not take every integration with it."""
        was_told = self._seen is None
        self._seen = None
        self.problems = (str(problem),)
        return None if was_told else Change((), (), self.problems)

    def _adopt(self, loaded: Loaded) -> None:
        # An unchanged one stays the same object: by that it is told whether anything has changed.
        known = self._by_id
        kept = {
            one.id: known[one.id] if known.get(one.id) == one else one
            for one in loaded.integrations.values()
        }
        paths = dict(loaded.paths)
        broken: dict[str, list[str]] = defaultdict(list)
        bad_paths = {problem.path: problem for problem in loaded.problems}
        for integration_id, path in self._path_of.items():
            if path in bad_paths and integration_id not in kept:
                kept[integration_id] = self._by_id[integration_id]
                paths[integration_id] = path
        for problem in loaded.problems:
            if problem.path not in paths.values() and problem.organization_id:
                broken[problem.organization_id].append(problem.integration_id or problem.path.stem)
        by_organization: dict[str, list[Integration]] = defaultdict(list)
        for integration in kept.values():
            if integration.enabled:
                by_organization[integration.organization_id].append(integration)
        self._by_id, self._path_of = kept, paths
        self._by_organization, self._broken = dict(by_organization), dict(broken)
        self.problems = tuple(str(problem) for problem in loaded.problems)

    def _stamps(self) -> dict[str, tuple[int, int]]:
        stamps = {}
        for entry in integration_files(self._directory):
            try:
                status = entry.stat()
            except OSError:
                continue
            stamps[entry.name] = (status.st_mtime_ns, status.st_size)
        return stamps

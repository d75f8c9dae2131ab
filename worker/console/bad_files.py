"""Files of integrations that are not valid, as far as this process can judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from worker.integrations.integration_registry import IntegrationRegistry
from worker.integrations.loading import InvalidIntegration

_OF_SECRETS: Final = "authentication."
_REFERENCES: Final = ("environment variable", "the file ")


class BadFile(NamedTuple):
    """A file of an integration that is not valid: `why` is the first thing that is wrong.
    `lacks_secrets`: nothing is wrong but that secrets are not to be had here, which a worker may
    well have.
    """

    why: str
    organization: str
    lacks_secrets: bool


def bad_files(integrations: IntegrationRegistry) -> Mapping[str, BadFile]:
    """The files that are not valid, by the ids of the integrations, or their names where they tell
    none.
    """
    return {one.integration_id or one.path.stem: _bad_file(one) for one in integrations.invalid}


def with_files(
    integrations: IntegrationRegistry, bad: Mapping[str, BadFile]
) -> frozenset[str] | None:
    """The integrations that have a file, be it a good one or not; None where the directory can't be
    read here, and so nobody can tell.
    """
    if not integrations.known_ids:
        return None
    return integrations.known_ids.union(bad, (one.id for one in integrations.integrations))


def _bad_file(one: InvalidIntegration) -> BadFile:
    lacks_secrets = all(
        problem.startswith(_OF_SECRETS) and any(word in problem for word in _REFERENCES)
        for problem in one.problems
    )
    why = one.problems[0] if one.problems else ""
    return BadFile(why, one.organization_id or "", lacks_secrets)

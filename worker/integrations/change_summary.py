"""What has changed from one set of integrations in force to the next, for the log. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.integrations.model import IntegrationState
from worker.integrations.version_claims import InForce


@dataclass(frozen=True, slots=True)
class Change:
    """Ids of integrations that are new or changed, ids that are gone, problems that were not there
    before, and those that are `mended`. False when there is nothing of all that.

    `vanished` ones are still in force though their file is gone, `returned` ones have it back.
    `missing` ones have been in force until now, and events that are for them wait.
    `switched` are those whose file now says another state than before; a new one counts as enabled
    before.
    """

    loaded: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    switched: tuple[tuple[str, IntegrationState], ...] = ()

    def __bool__(self) -> bool:
        return self != Change()


def compare(
    before: Mapping[str, InForce],
    after: Mapping[str, InForce],
    problems_before: Sequence[str],
    problems: Sequence[str],
) -> Change:
    """The change from the integrations in force `before` to those `after`."""
    told_before, told = set(problems_before), set(problems)
    missed_before = {one for one, known in before.items() if known.missed_at is not None}
    missed = {one for one, known in after.items() if known.missed_at is not None}
    return Change(
        loaded=tuple(
            one
            for one, now in after.items()
            if one not in before or before[one].integration is not now.integration
        ),
        removed=tuple(one for one in before if one not in after),
        problems=tuple(one for one in problems if one not in told_before),
        mended=tuple(one for one in problems_before if one not in told),
        vanished=tuple(sorted(missed - missed_before)),
        returned=tuple(sorted((missed_before - missed) & set(after))),
        switched=tuple(
            (one, now.integration.state)
            for one, now in after.items()
            if now.integration.state
            != (before[one].integration.state if one in before else "enabled")
        ),
    )

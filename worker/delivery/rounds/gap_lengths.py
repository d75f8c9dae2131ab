"""The pause between two messages for one user. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from worker.integrations.model import Integration

_FAILURE_SHARE: Final = 1 / 6
"""Of an attempt's time limit: no longer after a failure, so that retries fit their budget."""


class Gaps(NamedTuple):
    """Seconds from a message for a user, which Adobe accepted or not, to that user's next one."""

    after_success: float
    after_failure: float


def gaps_of(integration: Integration, attempt_seconds: float) -> Gaps:
    """The gaps of an integration's users; `attempt_seconds` is the time limit of an attempt."""
    gap = integration.limits.profile_gap_seconds
    return Gaps(gap, min(gap, attempt_seconds * _FAILURE_SHARE))

"""The pause between two messages for one user. Pure."""

from __future__ import annotations

from typing import Final

from worker.integrations.model import Integration

_FAILURE_SHARE: Final = 1 / 6
"""Of an attempt's time limit: no longer after a failure, so that retries fit their budget."""


def gap_seconds(integration: Integration, attempt_seconds: float, *, is_accepted: bool) -> float:
    """Seconds from a message for a user, which Adobe accepted or not, to that user's next one;
    `attempt_seconds` is the time limit of an attempt.
    """
    gap = integration.limits.profile_gap_seconds
    return gap if is_accepted else min(gap, attempt_seconds * _FAILURE_SHARE)

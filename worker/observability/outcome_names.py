"""What outcomes are called by metrics and the log."""

from __future__ import annotations

from typing import Final

from worker.delivery.outcome import Dead, Outcome, Parked, Retried, Skipped
from worker.reasons import DeadReason, ErrorCode, ParkReason, SkipReason

DELIVERED: Final = "delivered"
REASONS: Final[dict[str, tuple[str, ...]]] = {
    DELIVERED: ("",),
    "skipped": tuple(one.value for one in SkipReason),
    "retried": tuple(one.value for one in ErrorCode),
    "parked": tuple(one.value for one in ParkReason),
    "dead": tuple(one.value for one in DeadReason),
}
"""Each outcome with all reasons that it may have."""


def describe(outcome: Outcome) -> tuple[str, str]:
    """The outcome's name and its reason."""
    match outcome:
        case Skipped(reason):
            return "skipped", reason
        case Retried(_, failure):
            return "retried", failure.error
        case Parked(_, reason):
            return "parked", reason
        case Dead(reason):
            return "dead", reason

"""What is worth a line of the log once an hour, however often it happens: of events that are passed
over, which an operator may not have meant.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Final

import structlog

from worker.delivery.outcome import Skipped
from worker.delivery.routing import Ends
from worker.reasons import SkipReason
from worker.redaction import shown_name

_HOUR_SECONDS: Final = 3600.0
_MOST: Final = 1000


class Hourly:
    """Remembers when each of at most a thousand warnings was logged last; `now` is in seconds of
    one monotonic clock.
    """

    def __init__(self) -> None:
        self._told_at: OrderedDict[str, float] = OrderedDict()

    def is_due(self, what: str, now: float) -> bool:
        """Whether the warning of `what` is to be logged now; then it is due again in an hour.

        Above a thousand things within an hour no other one is told: who makes them up must not
        fill the log.
        """
        told_at = self._told_at
        while told_at and next(iter(told_at.values())) <= now - _HOUR_SECONDS:
            told_at.popitem(last=False)
        if what in told_at or len(told_at) >= _MOST:
            return False
        told_at[what] = now
        return True


log = structlog.get_logger(__name__)


class SkipWarnings:
    """Logs whose events are passed over: each organization and integration at most once an hour."""

    def __init__(self) -> None:
        self._hourly = Hourly()

    def tell(self, part: Ends, organization_id: str) -> None:
        """Warn of a part of an event of this organization, if it is passed over."""
        now = time.monotonic()
        match part.outcome:
            case Skipped(SkipReason.NO_INTEGRATION):
                if self._hourly.is_due(f"organization {organization_id}", now):
                    log.warning("organization.unknown", organization=shown_name(organization_id))
            case Skipped(SkipReason.DISABLED):
                if self._hourly.is_due(f"integration {part.integration_id}", now):
                    log.warning("integration.skipped", integration=part.integration_id)

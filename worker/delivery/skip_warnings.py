"""Warnings of events that are passed over, which an operator may not have meant."""

from __future__ import annotations

import time

import structlog

from worker.delivery.once_an_hour import Hourly
from worker.delivery.outcome import Skipped
from worker.delivery.routing import Ends
from worker.reasons import SkipReason
from worker.redaction import shown_name

log = structlog.get_logger(__name__)


class SkipWarnings:
    """Logs each at most once an hour."""

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

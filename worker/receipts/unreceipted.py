"""Counts outcomes that were acknowledged without a receipt."""

from __future__ import annotations

from collections import Counter
from typing import Final

import orjson
import structlog

log = structlog.get_logger(__name__)

MOST_BYTES: Final = 3 * 1024
"""Of JSON, in each state of the worker: some seventy integrations with usual ids, and twenty with
the longest. The rest is counted together."""
OTHERS: Final = "…"
NO_ROOM: Final = "no room for more unsent receipts"
UNWRITABLE: Final = "a receipt has a text that is no UTF-8"


class Unreceipted:
    """Unreceipted outcomes by integration since the start; "" is none that is known."""

    def __init__(self) -> None:
        self.by_integration: Counter[str] = Counter()
        self._told: set[str] = set()

    @property
    def total(self) -> int:
        """Unreceipted outcomes of all integrations."""
        return self.by_integration.total()

    def add(self, integration_id: str) -> None:
        """Count one more unreceipted outcome."""
        self.by_integration[integration_id] += 1

    def drop(self, integration_id: str, why: str) -> None:
        """Count one more unreceipted outcome, and tell `why`, each reason once."""
        if why not in self._told:
            self._told.add(why)
            log.error(
                "receipts.dropped",
                integration=integration_id,
                detail=f"{why}: from now on outcomes without one for this reason are counted, in "
                "consent_unreceipted_total",
            )
        self.add(integration_id)

    def so_far(self) -> dict[str, int]:
        """The integrations with most unreceipted outcomes, as many as there is room for; `OTHERS`
        stands for what the others have together.
        """
        told: dict[str, int] = {}
        rest = self.total
        size = len(orjson.dumps({OTHERS: rest}))
        for name, number in self.by_integration.most_common():
            size += len(orjson.dumps({name: number}))
            if size > MOST_BYTES:
                return told | {OTHERS: rest}
            told[name] = number
            rest -= number
        return told

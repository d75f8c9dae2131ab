"""What came of the events of a period: asked once for all who look, and kept for a moment."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeVar

from sqlalchemy import Connection

from worker.console.kept_answers import KeptAnswer
from worker.console.ledger_reader import LedgerReader
from worker.console.periods import Period
from worker.ledger.honour_times import HonourTimes, honour_times
from worker.ledger.open_withdrawals import AllOpenWithdrawals, open_withdrawals
from worker.ledger.outcome_series import OutcomeSeries, all_series, outcome_series
from worker.ledger.reason_counts import ReasonCount, reason_counts
from worker.ledger.unknown_spans import begins_ms

Answer = TypeVar("Answer")

_MOST_KEPT: Final = 64
_OPEN_SECONDS: Final = 2.0
_STALE_TIMES: Final = 5
"""So many times as old as it is kept an answer may be, while it is asked for anew: a page that is
open asks again within seconds, and who opens one does not wait.
"""


class Traffic(NamedTuple):
    """What came of the events of all integrations, or of one, of which `reasons` tells, too.
    `begins_ms` is when the ledger begins, in ms since 1970, None for an empty one.
    """

    series: OutcomeSeries
    times: HonourTimes
    reasons: list[ReasonCount]
    begins_ms: int | None


class KeptTraffic:
    """Keeps what came of the events of a period; `now_ms` is the time in ms since 1970."""

    def __init__(self, ledger: LedgerReader, now_ms: Callable[[], int]) -> None:
        self._ledger = ledger
        self._now_ms = now_ms
        self._kept: OrderedDict[tuple[str, str | None], KeptAnswer[Traffic]] = OrderedDict()
        self._rates: dict[str, KeptAnswer[dict[str, list[int]]]] = {}
        self._open = _kept(lambda: ledger.query(open_withdrawals), _OPEN_SECONDS)

    async def of(self, period: Period, integration: str | None = None) -> Traffic:
        """What came of the events of all integrations, or of one. Raises `LedgerTrouble` and
        `UnusableLedger`.
        """
        key = (period.name, integration)
        kept = self._kept.get(key)
        if kept is None:
            kept = _kept(lambda: self._ask(period, integration), period.kept_seconds)
            self._kept[key] = kept
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return await kept.get()

    async def rates(self, period: Period) -> dict[str, list[int]]:
        """The receipts of each integration, slot by slot. Raises as `of` does."""
        kept = self._rates.get(period.name)
        if kept is None:
            kept = _kept(lambda: self._ask_rates(period), 2 * period.kept_seconds)
            self._rates[period.name] = kept
        return await kept.get()

    async def open_withdrawals(self) -> AllOpenWithdrawals:
        """The withdrawals that Adobe does not have now. Raises as `of` does."""
        return await self._open.get()

    async def _ask(self, period: Period, integration: str | None) -> Traffic:
        now = self._now_ms()

        def ask(connection: Connection) -> Traffic:
            slots = period.slots(now)
            return Traffic(
                outcome_series(connection, slots, integration),
                honour_times(connection, period.honour_slots(now), integration),
                [] if integration is None else reason_counts(connection, slots, integration),
                begins_ms(connection),
            )

        return await self._ledger.query(ask)

    async def _ask_rates(self, period: Period) -> dict[str, list[int]]:
        return await self._ledger.query(all_series, period.slots(self._now_ms()))


def _kept(ask: Callable[[], Awaitable[Answer]], seconds: float) -> KeptAnswer[Answer]:
    return KeptAnswer(ask, seconds, _STALE_TIMES * seconds)

"""The spans of time that pages are asked for: the last hour, day or week."""

from __future__ import annotations

from typing import Final, NamedTuple

from aiohttp import web

from worker.console.formats import rough_span
from worker.ledger.minutes import MINUTE_MS
from worker.ledger.outcome_series import Slots


class Period(NamedTuple):
    """A span of time that pages are asked for: `name` is in links. Its `slot_count` slots have so
    many `minutes` each; `honour_share` of them are one where times to honour are told. What was
    asked is kept for `kept_seconds`: what is long changes slowly.
    """

    name: str
    words: str
    key: str
    minutes: int
    slot_count: int
    honour_share: int
    kept_seconds: float

    @property
    def query(self) -> str:
        """What a link has to say to ask for the period; nothing for the usual one."""
        return "" if self is PERIODS[0] else f"?period={self.name}"

    @property
    def slot_words(self) -> str:
        """How long a slot of the period is, in words."""
        return rough_span(self.minutes * MINUTE_MS)

    def slots(self, now_ms: int) -> Slots:
        """The slots of the period that ends now."""
        return Slots.until(now_ms, self.minutes, self.slot_count)

    def honour_slots(self, now_ms: int) -> Slots:
        """The slots for times to honour: fewer, since each needs enough times for a quantile."""
        return Slots.until(
            now_ms, self.minutes * self.honour_share, self.slot_count // self.honour_share
        )


PERIODS: Final = (
    Period("hour", "last hour", "1", 1, 60, 2, 2.0),
    Period("day", "last day", "2", 15, 96, 4, 30.0),
    Period("week", "last week", "3", 120, 84, 3, 120.0),
)
_BY_NAME: Final = {one.name: one for one in PERIODS}


def period_of(request: web.Request) -> Period:
    """The period that the link asks for, the last hour for anything else."""
    return _BY_NAME.get(request.query.get("period", ""), PERIODS[0])

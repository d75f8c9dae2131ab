"""The chart of how long it took from a choice to Adobe's yes, on a logarithmic scale. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from worker.console.charts.parts import (
    Chart,
    Key,
    Line,
    Shape,
    Tick,
    broken_line,
    row_span,
    table_rows,
    times_along,
    times_of,
)
from worker.console.formats import rough_span
from worker.ledger.honour_times import HonourTimes, Quantiles
from worker.ledger.outcome_series import Slots

_TICKS_MS: Final = (100, 1000, 10_000, 60_000, 300_000, 3_600_000, 86_400_000, 30 * 86_400_000)
_LEAST_TOP_MS: Final = 10_000

Reader = Callable[[Quantiles], int]


def _p50(one: Quantiles) -> int:
    return one.p50_ms


def _p99(one: Quantiles) -> int:
    return one.p99_ms


def honour_chart(times: HonourTimes, slots: Slots) -> Chart:
    """The chart of how long withdrawn and given choices took until Adobe's yes."""
    withdrawn, given = times.withdrawn_by_slot, times.given_by_slot
    highest = max((one.p99_ms for one in (*withdrawn, *given) if one is not None), default=0)
    ticks = _ticks_for(highest)
    low, high = math.log(ticks[0]), math.log(ticks[-1])

    def place(ms: int) -> float:
        known = min(max(math.log(max(ms, 1)), low), high)
        return 100 - 100 * (known - low) / (high - low)

    def shape(look: str, some: Sequence[Quantiles | None], read: Reader) -> Shape:
        return Shape(look, broken_line([None if one is None else place(read(one)) for one in some]))

    shapes = [
        shape("l l-grey", given, _p99),
        shape("l l-accent", withdrawn, _p99),
        shape("l l-accent l-thin", withdrawn, _p50),
    ]
    return Chart(
        kind="honouring",
        label=_label(times),
        shapes=[one for one in shapes if one.path],
        up=[Tick(place(one), rough_span(one)) for one in ticks],
        along=times_along(slots),
        keys=[
            Key("l l-accent", "withdrawn p99", told_time(times.withdrawn, _p99)),
            Key("l l-accent l-thin", "withdrawn p50", told_time(times.withdrawn, _p50)),
            Key("l l-grey", "given p99", told_time(times.given, _p99)),
        ],
        columns=["withdrawn p50", "withdrawn p99", "given p50", "given p99"],
        rows=[
            [
                words,
                *(
                    told_time(_slowest(some[start:end]), read)
                    for some in (withdrawn, given)
                    for read in (_p50, _p99)
                ),
            ]
            for words, start, end in table_rows(slots)
        ],
        times=times_of(slots),
        lines=[
            Line(name, [None if one is None else read(one) for one in some])
            for name, some, read in (
                ("withdrawn p50", withdrawn, _p50),
                ("withdrawn p99", withdrawn, _p99),
                ("given p99", given, _p99),
            )
        ],
        row_span=row_span(slots),
    )


def told_time(one: Quantiles | None, read: Reader) -> str:
    """How long choices took until Adobe's yes, in words; a dash for none."""
    return "\u2013" if one is None else rough_span(read(one))


def _label(times: HonourTimes) -> str:
    if times.withdrawn is None:
        return "No withdrawal was honoured in this time"
    return f"99 of 100 withdrawals were honoured within {rough_span(times.withdrawn.p99_ms)}"


def _ticks_for(highest_ms: int) -> list[int]:
    top = next((one for one in _TICKS_MS if one >= max(highest_ms, _LEAST_TOP_MS)), _TICKS_MS[-1])
    return [one for one in _TICKS_MS if one <= top]


def _slowest(some: Sequence[Quantiles | None]) -> Quantiles | None:
    """The slot with the highest p99, which stands for a row of the table."""
    return max((one for one in some if one is not None), key=_p99, default=None)

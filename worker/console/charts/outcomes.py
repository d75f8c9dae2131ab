"""The chart of receipts a second by outcome, one upon the other. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from worker.console.charts.parts import (
    Chart,
    Key,
    Line,
    Shape,
    Tick,
    band,
    line,
    quarters,
    round_scale,
    times_along,
    times_of,
)
from worker.console.formats import number
from worker.console.rates import rates_of
from worker.evidence.receipt import OutcomeName
from worker.ledger.outcome_series import OutcomeSeries

_LAYERS: Final[Mapping[str, tuple[OutcomeName, ...]]] = {
    "delivered": ("delivered",),
    "skipped": ("skipped",),
    "waiting": ("retried", "parked"),
    "dead": ("dead",),
}
"""From the bottom to the top."""


def outcome_chart(series: OutcomeSeries, now_ms: int) -> Chart:
    """The chart of what came of the events, at `now_ms` (ms since 1970)."""
    slots = series.slots
    rates = {
        name: rates_of(_summed([series.receipts[one] for one in outcomes]), slots, now_ms)
        for name, outcomes in _LAYERS.items()
    }
    top, values = round_scale(max(map(sum, zip(*rates.values(), strict=True))))
    return Chart(
        kind="outcomes",
        label=_label(rates),
        shapes=list(_shapes(rates, top)),
        up=[Tick(100 - 100 * one / top, f"{one:,g}") for one in values],
        along=times_along(slots),
        keys=[Key(f"a-{name}", name, _told(rate[-1])) for name, rate in reversed(rates.items())],
        columns=list(rates),
        rows=[
            [words, *(_told(sum(rate[start:end]) / (end - start)) for rate in rates.values())]
            for words, start, end in quarters(slots)
        ],
        times=times_of(slots),
        lines=[Line(name, [round(one, 2) for one in rate]) for name, rate in rates.items()],
    )


def _shapes(rates: Mapping[str, Sequence[float]], top: float) -> list[Shape]:
    lower = [100.0] * len(rates["delivered"])
    shapes = []
    edge: list[Shape] = []
    for name, rate in rates.items():
        upper = [low - 100 * one / top for low, one in zip(lower, rate, strict=True)]
        if any(rate):
            shapes.append(Shape(f"a-{name}", band(lower, upper)))
        if name == "delivered":
            edge.append(Shape("l l-delivered", line(upper)))
        lower = upper
    return shapes + edge


def _summed(counts: Sequence[Sequence[int]]) -> list[int]:
    return [sum(some) for some in zip(*counts, strict=True)]


def _label(rates: Mapping[str, Sequence[float]]) -> str:
    told = [f"{_told(rate[-1])} {name}" for name, rate in rates.items() if rate[-1]]
    return f"Events a second now: {', '.join(told)}" if told else "No events now"


def _told(rate: float) -> str:
    return number(rate)

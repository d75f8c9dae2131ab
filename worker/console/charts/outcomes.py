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
    round_scale,
    row_span,
    table_rows,
    times_along,
    times_of,
)
from worker.console.formats import moment, number
from worker.console.rates import rates_of
from worker.evidence.receipt import OutcomeName
from worker.ledger.outcome_series import OutcomeSeries, Slots

_LAYERS: Final[Mapping[str, tuple[OutcomeName, ...]]] = {
    "delivered": ("delivered",),
    "skipped": ("skipped",),
    "waiting": ("retried", "parked"),
    "dead": ("dead",),
}
"""From the bottom to the top."""


def outcome_chart(series: OutcomeSeries, now_ms: int, begins_ms: int | None) -> Chart:
    """The chart of what came of the events, at `now_ms`. Nothing is drawn of what was before
    `begins_ms`, when the ledger begins, None for an empty one. Both are in ms since 1970.
    """
    slots = series.slots
    unknown = _unknown_slots(slots, begins_ms)
    rates = {
        name: rates_of(
            _summed([series.receipts[one] for one in outcomes]), slots, now_ms, begins_ms
        )
        for name, outcomes in _LAYERS.items()
    }
    top, values = round_scale(max(map(sum, zip(*rates.values(), strict=True))))
    return Chart(
        kind="outcomes",
        label=_label(rates),
        shapes=_shapes({name: rate[unknown:] for name, rate in rates.items()}, top, slots.number),
        up=[Tick(100 - 100 * one / top, f"{one:,g}") for one in values],
        along=times_along(slots),
        keys=[Key(f"a-{name}", name, _told(rate[-1])) for name, rate in reversed(rates.items())],
        columns=list(rates),
        rows=[
            [words, *(_average(rate[max(start, unknown) : end]) for rate in rates.values())]
            for words, start, end in table_rows(slots)
        ],
        times=times_of(slots),
        lines=[
            Line(name, [*([None] * unknown), *(round(one, 2) for one in rate[unknown:])])
            for name, rate in rates.items()
        ],
        row_span=row_span(slots),
        note=_note(slots, begins_ms),
    )


def _unknown_slots(slots: Slots, begins_ms: int | None) -> int:
    """How many slots were over when the ledger began."""
    if begins_ms is None:
        return slots.number
    return min(slots.number, max(0, (begins_ms - slots.since_ms) // slots.ms))


def _note(slots: Slots, begins_ms: int | None) -> str:
    if begins_ms is None:
        return "The ledger has no receipts yet."
    if begins_ms <= slots.since_ms:
        return ""
    return f"No receipts before {moment(begins_ms)}: the ledger begins then."


def _average(rate: Sequence[float]) -> str:
    """In words; a dash where nothing is known."""
    return _told(sum(rate) / len(rate)) if rate else "\u2013"


def _shapes(rates: Mapping[str, Sequence[float]], top: float, count: int) -> list[Shape]:
    """The shapes of the last of `count` slots, of which something is known."""
    lower = [100.0] * len(rates["delivered"])
    shapes = []
    edge: list[Shape] = []
    for name, rate in rates.items():
        upper = [low - 100 * one / top for low, one in zip(lower, rate, strict=True)]
        if any(rate):
            shapes.append(Shape(f"a-{name}", band(lower, upper, count)))
        if name == "delivered":
            edge.append(Shape("l l-delivered", line(upper, count)))
        lower = upper
    return shapes + edge


def _summed(counts: Sequence[Sequence[int]]) -> list[int]:
    return [sum(some) for some in zip(*counts, strict=True)]


def _label(rates: Mapping[str, Sequence[float]]) -> str:
    told = [f"{_told(rate[-1])} {name}" for name, rate in rates.items() if rate[-1]]
    return f"Receipts a second now: {', '.join(told)}" if told else "No receipts now"


def _told(rate: float) -> str:
    return number(rate)

"""What a chart is made of: shapes, scales, keys, and the table that says the same. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import orjson

from worker.console.formats import clock, moment
from worker.ledger.outcome_series import Slots

_STEPS: Final = (1, 2, 2.5, 5, 10, 20)
_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
_DOT: Final = 0.8
"""Percent of the width that a lone value has at least, or nobody would see it."""
_PARTS_UP: Final = 3


class Shape(NamedTuple):
    """A path in a chart, and the class that gives it its look."""

    look: str
    path: str


class Tick(NamedTuple):
    """Words at so many percent of a chart's axis, from the left or from the top."""

    place: float
    words: str


class Key(NamedTuple):
    """A line of a chart's legend: how it looks, what it is, its present value."""

    look: str
    name: str
    value: str


class Line(NamedTuple):
    """The values of one line of a chart, for who draws it with more than shapes: None where there
    is none.
    """

    name: str
    values: Sequence[float | None]


class Chart(NamedTuple):
    """A chart: `rows` are its table, the first cell of each a heading; `lines` are what scripts
    draw, at `times` in seconds since 1970. A row is of one `row_span`, as "hour"; `note` says what
    the chart can't tell.
    """

    kind: str
    label: str
    shapes: Sequence[Shape]
    up: Sequence[Tick]
    along: Sequence[Tick]
    keys: Sequence[Key]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    times: Sequence[int]
    lines: Sequence[Line]
    row_span: str
    note: str = ""

    @property
    def data(self) -> str:
        """The lines of a chart as JSON, for a script."""
        return orjson.dumps(
            {
                "times": self.times,
                "names": [one.name for one in self.lines],
                "values": [one.values for one in self.lines],
            }
        ).decode()


def round_scale(highest: float) -> tuple[float, Sequence[float]]:
    """The end of a chart's scale from 0 that has room for `highest`, and its round values."""
    if highest <= 0:
        return 1.0, (0.0, 1.0)
    size = 10 ** math.floor(math.log10(highest / _PARTS_UP))
    step = next(one * size for one in _STEPS if one * size * _PARTS_UP >= highest)
    return _PARTS_UP * step, [n * step for n in range(_PARTS_UP + 1)]


def _x(n: int, count: int) -> float:
    return 100 * n / max(1, count - 1)


def _points(places: Sequence[float], count: int) -> list[str]:
    """The points of a chart's line that has its places at the last of `count` slots."""
    first = count - len(places)
    points = [(_x(first + n, count), one) for n, one in enumerate(places)]
    if len(points) == 1:
        points.insert(0, (points[0][0] - _DOT, points[0][1]))
    return [f"{x:.1f},{y:.1f}" for x, y in points]


def line(places: Sequence[float], count: int) -> str:
    """A chart's line through all places, in percent from the top: those of the last of `count`
    slots, since nothing is known of those before.
    """
    return "M" + "L".join(_points(places, count))


def band(lower: Sequence[float], upper: Sequence[float], count: int) -> str:
    """What is between two lines of a chart, each as of `line`."""
    back = _points(lower, count)[::-1]
    return f"{line(upper, count)}L{'L'.join(back)}z"


def broken_line(places: Sequence[float | None]) -> str:
    """A chart's line with gaps where nothing is known; a lone place is a short dash."""
    parts = []
    is_drawing = False
    for n, place in enumerate(places):
        if place is not None:
            at = f"{_x(n, len(places)):.1f},{place:.1f}"
            parts.append(f"L{at}" if is_drawing else f"M{at}h.4")
        is_drawing = place is not None
    return "".join(parts)


def times_along(slots: Slots) -> list[Tick]:
    """Times on a chart's axis, from the first slot's beginning to now."""
    whole = slots.ms * slots.number
    # A day begins and ends at the same time of day, and with the date there is room for three.
    count = 3 if whole == _DAY_MS else 5
    ticks = []
    for n in range(count):
        at = slots.since_ms + whole * n // (count - 1)
        words = [_day(at)] * (whole >= _DAY_MS) + [_minute(at)] * (whole <= _DAY_MS)
        ticks.append(Tick(100 * n / (count - 1), " ".join(words)))
    return ticks


def times_of(slots: Slots) -> list[int]:
    """When each slot of a chart begins, in seconds since 1970."""
    return [(slots.since_ms + n * slots.ms) // 1000 for n in range(slots.number)]


def row_span(slots: Slots) -> str:
    """How much time a row of a chart's table has, in words."""
    return _rows_of(slots)[1]


def table_rows(slots: Slots) -> list[tuple[str, int, int]]:
    """The rows of a chart's table: which time in words, and the slots from where to where."""
    count = _rows_of(slots)[0]
    rows = []
    for n in range(count):
        start, end = slots.number * n // count, slots.number * (n + 1) // count
        words = _times(slots.since_ms + start * slots.ms, slots.since_ms + end * slots.ms, slots)
        rows.append((words, start, end))
    return rows


def _rows_of(slots: Slots) -> tuple[int, str]:
    whole = slots.ms * slots.number
    if whole <= _HOUR_MS:
        return 6, "10 minutes"
    return (24, "hour") if whole <= _DAY_MS else (7, "day")


def _times(began_ms: int, ended_ms: int, slots: Slots) -> str:
    first, last = _minute(began_ms), _minute(ended_ms)
    whole = slots.ms * slots.number
    if whole <= _HOUR_MS:
        return f"{first}\u2013{last}"
    if whole <= _DAY_MS:
        return f"{_day(began_ms)} {first}\u2013{last}"
    return f"{_day(began_ms)} {first}\u2013{_day(ended_ms)} {last}"


def _day(at_ms: int) -> str:
    return moment(at_ms)[5:10]


def _minute(at_ms: int) -> str:
    return clock(at_ms)[:5]

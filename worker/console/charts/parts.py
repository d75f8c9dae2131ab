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
_ROWS: Final = 4
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
    draw, at `times` in seconds since 1970.
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


def line(places: Sequence[float]) -> str:
    """A chart's line through all places, in percent from the top."""
    points = [f"{_x(n, len(places)):.1f},{one:.1f}" for n, one in enumerate(places)]
    return "M" + "L".join(points)


def band(lower: Sequence[float], upper: Sequence[float]) -> str:
    """What is between two lines of a chart."""
    count = len(lower)
    back = [f"{_x(n, count):.1f},{lower[n]:.1f}" for n in range(count - 1, -1, -1)]
    return f"{line(upper)}L{'L'.join(back)}z"


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
    """Five times on a chart's axis, from the first slot's beginning to now."""
    whole = slots.ms * slots.number
    return [Tick(25.0 * n, _time_word(slots.since_ms + whole * n // 4, whole)) for n in range(5)]


def times_of(slots: Slots) -> list[int]:
    """When each slot of a chart begins, in seconds since 1970."""
    return [(slots.since_ms + n * slots.ms) // 1000 for n in range(slots.number)]


def quarters(slots: Slots) -> list[tuple[str, int, int]]:
    """The rows of a chart's table: which time in words, and the slots from where to where."""
    size = slots.number // _ROWS
    whole = slots.ms * slots.number
    rows = []
    for n in range(_ROWS):
        began = slots.since_ms + n * size * slots.ms
        words = [_time_word(one, whole) for one in (began, began + size * slots.ms)]
        rows.append(("\u2013".join(words), n * size, (n + 1) * size))
    return rows


def _time_word(at_ms: int, whole_ms: int) -> str:
    """The time of day, or the day where there are several."""
    return moment(at_ms)[5:10] if whole_ms > _DAY_MS else clock(at_ms)[:5]

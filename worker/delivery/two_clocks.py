"""The two clocks at one moment. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Moment(NamedTuple):
    """`wall_ms` is the time in ms since 1970; `seconds` that of a monotonic clock."""

    wall_ms: int
    seconds: float

"""One moment by the wall clock and by the monotonic clock of a worker. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Moment(NamedTuple):
    """One moment by two clocks: `wall_ms` is the time in ms since 1970; `seconds` that of a
    monotonic clock.
    """

    wall_ms: int
    seconds: float

"""Moments as an operator writes and reads them: absolute, or relative to now."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Final

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN: Final = re.compile(r"([0-9]{1,9})([smhd])")
_LARGER_FROM: Final = 2
"""From two of a unit on it is told in that: 90 s, but 2 m."""


def now_ms() -> int:
    """The time in ms since 1970."""
    return int(time.time() * 1000)


def span_seconds(text: str) -> int:
    """A span as an operator writes it (`90s`, `15m`, `2h`, `7d`), in seconds. Raises ValueError."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError("must be a number and s, m, h or d, such as 90s or 2h")
    return int(match[1]) * _UNITS[match[2]]


def moment_ms(text: str, now_ms: int) -> int:
    """A moment as an operator writes it, in ms since 1970: `2h` ago, or an ISO 8601 time such as
    `2026-11-29T13:00Z`; one without an offset is UTC. Raises ValueError.
    """
    if _SPAN.fullmatch(text):
        return now_ms - span_seconds(text) * 1000
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
    except (ValueError, OverflowError):
        raise ValueError(
            "must be how long ago, such as 90s, 2h or 7d, or an ISO 8601 time, such as "
            "2026-11-29T13:00Z"
        ) from None


def iso(moment: int | None) -> str | None:
    """A moment in ms since 1970 as ISO 8601 in UTC, to the second."""
    if moment is None:
        return None
    return f"{datetime.fromtimestamp(moment // 1000, UTC):%Y-%m-%dT%H:%M:%S}Z"


def told(moment: int | None, now_ms: int) -> str:
    """A moment in ms since 1970, absolute and relative; `-` for None."""
    if moment is None:
        return "-"
    seconds = (now_ms - moment) // 1000
    span = told_span(abs(seconds))
    return f"{iso(moment)} ({f'{span} ago' if seconds >= 0 else f'in {span}'})"


def told_span(seconds: float) -> str:
    """A span of time in whole units of the largest one of which there are two."""
    for unit, one in reversed(_UNITS.items()):
        if seconds >= _LARGER_FROM * one:
            return f"{int(seconds // one)}{unit}"
    return f"{int(seconds)}s"

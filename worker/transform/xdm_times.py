"""Times in the form of XDM. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_LATEST_MS: Final = 253_402_300_799_999
"""The end of the year 9999, to which a time of microseconds may have been rounded up beyond."""


def iso_time(time_ms: int) -> str:
    """Milliseconds since the epoch in the form of XDM's date-time."""
    moment = datetime.fromtimestamp(min(time_ms, _LATEST_MS) / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

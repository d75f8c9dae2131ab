"""What a tombstone leaves of stamps that are settled after it: an erasure does not wait for every
request that is under way. Pure; settle.lua does the same in Redis.
"""

from __future__ import annotations

from collections.abc import Mapping

from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import UNCLEAR


def left_after_erasure(
    written: Mapping[str, Stamp], tombstone: Stamp | None
) -> Mapping[str, Stamp]:
    """Those of the stamps `written` whose choices were made or changed after the erasure, and the
    mark of an unclear answer. What was found at Adobe, of which nobody knows a time, goes with the
    choices beside which it was found: beside older ones it may be what was erased.
    """
    if tombstone is None:  # of nearly all
        return written
    until_ms = tombstone.time_ms
    is_since = any(
        _latest_ms(stamp) > until_ms for path, stamp in written.items() if path != UNCLEAR
    )
    return {
        path: stamp
        for path, stamp in written.items()
        if path == UNCLEAR or not _is_erased(stamp, until_ms, is_since=is_since)
    }


def _is_erased(stamp: Stamp, until_ms: int, *, is_since: bool) -> bool:
    latest_ms = _latest_ms(stamp)
    if latest_ms > 0:
        return latest_ms <= until_ms
    # What was found has the time 0. What an unclear request may have set has one before all.
    return stamp.time_ms == 0 and not is_since


def _latest_ms(stamp: Stamp) -> int:
    return max(stamp.time_ms, stamp.updated_ms)

"""How far back a stream of receipts reaches, by what stands in it. Pure."""

from __future__ import annotations

from typing import Final

from worker.evidence.heading import Heading

_REACHES_BACK_MS: Final = 300_000
"""A chain whose beginning fell with retention goes on within so long of the oldest message, however
long its process was cut off meanwhile. So far apart clocks may be."""
_WRITTEN_AT_ONCE: Final = frozenset(("begin", "receipts", "state", "end"))
"""Of these kinds a process has one message at most that nobody has confirmed, so only the first one
after it was cut off may be much older than its place in the stream."""


class StreamAge:
    """How far back a stream reaches: give it each message that counts, then ask. Who writes the
    stream anew chooses what stands first in it, so no single message tells when it begins.
    """

    def __init__(self) -> None:
        self._first_offset: int | None = None
        self._oldest_at: int | None = None
        self._is_by_signed = False

    def begin_at(self, offset: int) -> None:
        """Something stands at `offset` of the stream, whatever it is: the first call counts."""
        if self._first_offset is None:
            self._first_offset = offset

    def see(self, heading: Heading, *, is_signed: bool) -> None:
        """A message that is not the first one of its chain in the stream. Once one with a right
        signature came, others say nothing.
        """
        if heading.kind not in _WRITTEN_AT_ONCE or is_signed < self._is_by_signed:
            return
        if self._oldest_at is None or is_signed > self._is_by_signed:
            self._oldest_at = heading.at
        self._oldest_at = min(self._oldest_at, heading.at)
        self._is_by_signed = is_signed

    def may_be_older(self, at_ms: int) -> bool:
        """Whether what was before a message of `at_ms` (ms since 1970) may have fallen with the
        stream's beginning. Retention leaves nothing at offset 0.
        """
        if self._first_offset == 0:
            return False
        return self._oldest_at is None or at_ms <= self._oldest_at + _REACHES_BACK_MS

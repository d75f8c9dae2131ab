"""What was seen of one chain, and whether its next message fits. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

from worker.evidence.findings import FindingCode
from worker.evidence.heading import NO_DIGEST, Heading

_REMEMBERED: Final = 256
"""Messages whose digests are kept: a process repeats none but the last one, and an older one of
which there is another copy is told by its sequence alone."""
_MOST_GAPS: Final = 64


class SeenChain:
    """One chain, message by message in the order of the stream.

    Where two messages claim one place, either may be the one that the next points to: which of them
    is the real one no digest tells.
    """

    def __init__(self, first: Heading) -> None:
        self.last = first
        self.key = first.key
        self.has_ended = False
        self.gaps: list[range] = []
        """Sequences that were passed over, each with the one behind it as `stop`."""
        self._digests: dict[int, tuple[str, ...]] = {}
        self._order: deque[int] = deque()

    def add_first(self, digest: str) -> FindingCode | None:
        """The message that it was made for has this digest."""
        first = self.last
        self._remember(first.sequence, digest)
        self.has_ended = first.kind == "end"
        is_begin = first.sequence == 0
        if is_begin and (first.previous != NO_DIGEST or first.kind != "begin"):
            return FindingCode.RELINKED
        return None

    def add(self, heading: Heading, digest: str) -> FindingCode | None:
        """One more message; what is wrong with its place, if anything."""
        number, last = heading.sequence, self.last.sequence
        if digest in self._digests.get(number, ()):
            return None  # written again, since its confirm was lost
        if number <= last:
            return self._add_late(heading, digest)
        found = None
        if number > last + 1:
            self._pass_over(last + 1, number)
        elif heading.previous not in self._digests.get(last, ()):
            found = FindingCode.RELINKED
        if self.has_ended:
            found = FindingCode.AFTER_END
        self.last = heading
        self.has_ended = heading.kind == "end"
        self._remember(number, digest)
        return found

    def knows_other_than(self, sequence: int, digest: str) -> bool:
        """Whether there was a message at `sequence`, and none with this digest."""
        known = self._digests.get(sequence)
        return known is not None and digest not in known

    def _add_late(self, heading: Heading, digest: str) -> FindingCode:
        number = heading.sequence
        for place, gap in enumerate(self.gaps):
            if number in gap:
                rest = [range(gap.start, number), range(number + 1, gap.stop)]
                self.gaps[place : place + 1] = [one for one in rest if one]
                self._remember(number, digest)
                return FindingCode.REORDERED
        if number in self._digests:
            self._digests[number] += (digest,)
            return FindingCode.INSERTED
        return FindingCode.REORDERED

    def _pass_over(self, start: int, stop: int) -> None:
        if len(self.gaps) < _MOST_GAPS:
            self.gaps.append(range(start, stop))
        else:
            self.gaps[-1] = range(self.gaps[-1].start, stop)

    def _remember(self, sequence: int, digest: str) -> None:
        self._digests[sequence] = (digest,)
        self._order.append(sequence)
        if len(self._order) > _REMEMBERED:
            self._digests.pop(self._order.popleft(), None)

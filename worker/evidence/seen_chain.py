"""What was seen of one chain, and whether its next message fits. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

from worker.evidence.findings import FindingCode
from worker.evidence.heading import NO_DIGEST, Heading

MOST_REMEMBERED: Final = 100_000
"""Messages whose digests are kept, beside the last one of each chain: the latest of all. A process
repeats none but its last one, an anchor is a minute behind at most, and an older message of which
there is another copy is told by its sequence alone."""
_MOST_AT_A_PLACE: Final = 8
"""Different messages with one number, of which the digests are kept."""
_MOST_GAPS: Final = 64
MOST_GAPS: Final = 20_000
"""Of all chains together; beyond, and beyond those of one chain, a gap is made part of the last one
of its chain, which has one at least."""


class SeenPlaces:
    """What the chains of a stream keep together, so that it is bounded for all of them."""

    def __init__(self) -> None:
        self.gaps = 0
        self._latest: deque[tuple[dict[int, tuple[str, ...]], int]] = deque()

    def remember(self, digests: dict[int, tuple[str, ...]], sequence: int) -> None:
        """Note that `digests` of a chain has `sequence` now; the oldest ones of all are dropped."""
        self._latest.append((digests, sequence))
        if len(self._latest) > MOST_REMEMBERED:
            oldest, place = self._latest.popleft()
            oldest.pop(place, None)


class SeenChain:
    """One chain, message by message in the order of the stream.

    Where two messages claim one place, either may be the one that the next points to: which of them
    is the real one no digest tells.
    """

    def __init__(self, first: Heading, offset: int, places: SeenPlaces) -> None:
        self.last = first
        self.key = first.key
        self.first_sequence = first.sequence
        self.first_at = first.at
        self.first_offset = offset
        self.has_ended = False
        self.gaps: list[range] = []
        """Sequences that were passed over, each with the one behind it as `stop`."""
        self._places = places
        self._last_digests: tuple[str, ...] = ()
        self._earlier: dict[int, tuple[str, ...]] = {}

    def add_first(self, digest: str) -> FindingCode | None:
        """The chain's first message has this digest; what is wrong with its place, if anything."""
        first = self.last
        self._last_digests = (digest,)
        self.has_ended = first.kind == "end"
        is_begin = first.sequence == 0
        if is_begin and (first.previous != NO_DIGEST or first.kind != "begin"):
            return FindingCode.RELINKED
        return None

    def add(self, heading: Heading, digest: str, lost_after: str = "") -> FindingCode | None:
        """One more message of the chain; what is wrong with its place, if anything. Messages
        between it and the one with the digest `lost_after` are known to be lost.
        """
        number, last = heading.sequence, self.last.sequence
        if digest in self._at(number):
            return None  # written again, since its confirm was lost
        if number <= last:
            return self._add_late(heading, digest)
        found = None
        if number > last + 1:
            if lost_after in self._last_digests:
                found = FindingCode.LOST
            else:
                self._pass_over(last + 1, number)
        elif heading.previous not in self._last_digests:
            found = FindingCode.RELINKED
        if self.has_ended:
            found = FindingCode.AFTER_END
        self._remember(last, self._last_digests)
        self.last, self._last_digests = heading, (digest,)
        self.has_ended = heading.kind == "end"
        return found

    def knows_other_than(self, sequence: int, digest: str) -> bool:
        """Whether the chain had a message at `sequence`, and none with this digest."""
        known = self._at(sequence)
        return bool(known) and digest not in known

    def _at(self, sequence: int) -> tuple[str, ...]:
        """The digests of what stands at a place, as far as they are remembered."""
        if sequence == self.last.sequence:
            return self._last_digests
        return self._earlier.get(sequence, ())

    def _add_late(self, heading: Heading, digest: str) -> FindingCode:
        number = heading.sequence
        for place, gap in enumerate(self.gaps):
            if number in gap:
                self._fill(place, number)
                self._remember(number, (digest,))
                return FindingCode.REORDERED
        known = self._at(number)
        if not known:
            return FindingCode.REORDERED
        if len(known) < _MOST_AT_A_PLACE:
            if number == self.last.sequence:
                self._last_digests += (digest,)
            else:
                self._earlier[number] += (digest,)
        return FindingCode.INSERTED

    def _fill(self, place: int, number: int) -> None:
        """Of a gap this number is not missing any more; without room for two parts it stays one."""
        gap = self.gaps[place]
        rest = [one for one in (range(gap.start, number), range(number + 1, gap.stop)) if one]
        if len(rest) < 2 or self._has_room_for_a_gap():
            self.gaps[place : place + 1] = rest
            self._places.gaps += len(rest) - 1

    def _pass_over(self, start: int, stop: int) -> None:
        if not self.gaps or self._has_room_for_a_gap():
            self.gaps.append(range(start, stop))
            self._places.gaps += 1
        else:
            self.gaps[-1] = range(self.gaps[-1].start, stop)

    def _has_room_for_a_gap(self) -> bool:
        return len(self.gaps) < _MOST_GAPS and self._places.gaps < MOST_GAPS

    def _remember(self, sequence: int, digests: tuple[str, ...]) -> None:
        self._earlier[sequence] = digests
        self._places.remember(self._earlier, sequence)

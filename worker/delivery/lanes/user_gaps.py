"""The gaps after messages, by user. Pure."""

from __future__ import annotations

from collections import deque


class UserGaps:
    """Each gap of a user, with its end; times are seconds of one clock."""

    def __init__(self) -> None:
        # Those with equally long gaps end in the order in which they began.
        self._by_length: dict[float, deque[tuple[float, str]]] = {}

    def begin(self, user: str, gap_seconds: float, now: float) -> None:
        """Nothing of `user` is under way any more; what waits for that may go after the gap."""
        gaps = self._by_length.get(gap_seconds)
        if gaps is None:
            gaps = self._by_length[gap_seconds] = deque()
        gaps.append((now + gap_seconds, user))

    def end(self, now: float) -> tuple[list[str], float | None]:
        """The users whose gap is over; and when the next one is, None if there is none."""
        over: list[str] = []
        next_end: float | None = None
        for length, gaps in list(self._by_length.items()):
            while gaps and gaps[0][0] <= now:
                over.append(gaps.popleft()[1])
            if not gaps:
                del self._by_length[length]
            elif next_end is None or gaps[0][0] < next_end:
                next_end = gaps[0][0]
        return over, next_end

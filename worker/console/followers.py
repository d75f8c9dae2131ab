"""Who follows the fleet by a stream: nobody keeps others from it, whatever one session opens."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from worker.console.sessions import Session

MOST_OF_SESSION: Final = 6
"""Streams of one browser: it opens no more connections to one host by HTTP/1.1."""
MOST: Final = 256
"""Of all sessions together: half of the connections that the console has."""


class Followers:
    """The streams that are open. One too many ends another: the oldest of its session, or, where
    all together are too many, of the session that has the most.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._open: dict[asyncio.Event, str] = {}  # oldest first

    @contextmanager
    def following(self, session: Session) -> Iterator[asyncio.Event]:
        """Count a stream of that session within the block; what is set when it is to end."""
        mine, holder = asyncio.Event(), session.id
        self._open[mine] = holder
        counts = Counter(self._open.values())
        # Of a proxy that gives no names nobody knows how many browsers one session is.
        is_one = bool(session.name) or not session.is_of_proxy
        if is_one and counts[holder] > MOST_OF_SESSION:
            self._end_oldest(holder)
        elif len(self._open) > self._most:
            self._end_oldest(counts.most_common(1)[0][0])
        try:
            yield mine
        finally:
            self._open.pop(mine, None)

    def _end_oldest(self, holder: str) -> None:
        oldest = next(one for one, its in self._open.items() if its == holder)
        del self._open[oldest]  # at once, or the next one too many would end it again
        oldest.set()

"""The requests that an integration may have under way at Adobe: look-ups and sends together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class RequestSlots:
    """The requests of an integration that may be under way: `limit` at a time.

    A slot is held for one request, and nobody who has one waits for another: so nothing can wait
    for ever while requests end.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._first: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()

    def set_limit(self, limit: int) -> None:
        """A changed configuration lets `limit` requests be under way. Those above a lower one end
        as they would have.
        """
        self._limit = limit
        self._hand_out()

    @asynccontextmanager
    async def one(self, *, first: bool) -> AsyncIterator[None]:
        """A slot for one request, which goes before all that are not `first`."""
        await self._take(self._first if first else self._others)
        try:
            yield
        finally:
            self._give_back()

    async def _take(self, queue: deque[asyncio.Future[None]]) -> None:
        if self._taken < self._limit:  # then nobody waits, see `_hand_out`
            self._taken += 1
            return
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._give_back()  # it was handed out in the same moment
            raise

    def _give_back(self) -> None:
        self._taken -= 1
        self._hand_out()

    def _hand_out(self) -> None:
        while self._taken < self._limit and (self._first or self._others):
            turn = (self._first or self._others).popleft()
            if not turn.done():  # or who waited has given up
                self._taken += 1
                turn.set_result(None)

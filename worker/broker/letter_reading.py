"""Reads dead letters by consumers, one window after the other, and holds them all until the end.

The broker sends a window without being asked for each letter, which is many times as fast as to
fetch one after the other. Only the broker keeps what is held: a body is let go as soon as whoever
reads has taken from it what is needed.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar

from aio_pika.abc import AbstractConnection

from worker.broker.held_letters import HeldLetter, LetterWindow
from worker.wire.frame_splitter import FrameSplitter

T = TypeVar("T")

_FEWEST: Final = 20
"""Letters of a window where these are large, or where nobody knows yet how large they are."""
_MOST: Final = 2_000
"""Letters of a window: RabbitMQ gives a consumer of a quorum queue no more at once, anyway."""
_WINDOW_BYTES: Final = 32 * 1024 * 1024
"""Bodies that may come before anybody has looked at the first of them."""
_TICK_SECONDS: Final = 0.1
_ASK_AFTER_TICKS: Final = 10
_MOST_TICKS: Final = 300
"""So long, 30 s, nothing may come of a queue that says it has letters."""


class ReadingEnded(ConnectionError):
    """The broker has closed a channel with dead letters, or cancelled its consumer."""


def window_size(letters: int, body_bytes: int) -> int:
    """How many dead letters the next window may hold, when those of the last had so many bytes."""
    if not letters:
        return _FEWEST
    mean_bytes = max(1, body_bytes // letters)
    return min(_MOST, max(_FEWEST, _WINDOW_BYTES // mean_bytes))


class LetterReading:
    """One window takes dead letters at a time, and when it is full the next one is opened. `ready`
    asks for the number of letters that nobody holds.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        splitter: FrameSplitter,
        queue: str,
        ready: Callable[[], Awaitable[int]],
    ) -> None:
        self._connection = connection
        self._splitter = splitter
        self._queue = queue
        self._ready = ready
        self._windows: list[LetterWindow] = []
        self._last_letters = self._last_bytes = 0
        self._take: Callable[[HeldLetter], Any] | None = None
        self._left = 0
        self._taken: deque[Any] = deque()
        self._arrived = asyncio.Event()
        self._failure: Exception | None = None

    async def read(
        self, limit: int, take: Callable[[HeldLetter], T | None], is_stopped: Callable[[], bool]
    ) -> AsyncIterator[T]:
        """What `take` makes of each of the first `limit` dead letters, None left out. It is called
        as they come; all that it does not hand on of a letter is let go. Ends early where there are
        fewer, or `is_stopped`.
        """
        self._take, self._left = take, limit
        idle_ticks = 0
        while True:
            while self._taken:
                yield self._taken.popleft()
            if self._failure is not None:
                raise self._failure
            if not self._left or is_stopped():
                break
            if await self.keep_room() or await self._something_came():
                idle_ticks = 0
                continue
            idle_ticks += 1
            if idle_ticks % _ASK_AFTER_TICKS == 0 and await self._is_over():
                break
            if idle_ticks >= _MOST_TICKS:
                raise TimeoutError
        self._take = None

    def listen(self, take: Callable[[HeldLetter], None]) -> None:
        """From now on `take` is given each dead letter that comes, as long as there is room."""
        self._take, self._left = take, sys.maxsize

    async def keep_room(self) -> bool:
        """Open a window where there is no room for dead letters; whether that was so. Raises what
        the broker answers, and what has ended the reading: then none came any more.
        """
        if self._failure is not None:
            raise self._failure
        if self._windows and not self._windows[-1].is_full:
            return False
        size = window_size(self._last_letters, self._last_bytes)
        self._last_letters = self._last_bytes = 0
        window = LetterWindow(size, self._on_letter, self._on_end)
        self._windows.append(window)
        await window.open(self._connection, self._splitter, self._queue)
        return True

    async def take_in(self) -> None:
        """Return when the broker has taken in all that was acknowledged. Raises what it answers."""
        for window in self._windows:
            await window.take_in()

    async def stop(self) -> int:
        """Take no more dead letters; how many are held. Raises what the broker answers."""
        self._take = None
        self._taken.clear()  # what nobody has read comes again, and can't be settled any more
        for window in self._windows:
            # Or what one gives back would come to the next.
            await window.cancel()
        return sum(window.held for window in self._windows)

    async def give_back(self) -> None:
        """Have the broker put back the dead letters that are held, in their order; returns when all
        that was settled has been taken in. Raises what the broker answers.
        """
        windows, self._windows = self._windows, []
        for window in windows:
            await window.give_back()
            # Answered after that. Without the answer the channels would overtake each other.
            await window.close()

    async def _something_came(self) -> bool:
        self._arrived.clear()
        try:
            async with asyncio.timeout(_TICK_SECONDS):
                await self._arrived.wait()
        except TimeoutError:
            return False
        return True

    async def _is_over(self) -> bool:
        """Whether no letter is left; what was sent before the answer has come by then."""
        return not await self._ready() and not self._arrived.is_set()

    def _on_letter(self, letter: HeldLetter) -> None:
        self._arrived.set()
        self._last_letters += 1
        self._last_bytes += len(letter.body)
        if self._take is None or not self._left:
            return
        self._left -= 1
        try:
            taken = self._take(letter)
        except Exception as error:  # raised where it is read
            self._failure, self._take = error, None
            return
        if taken is not None:
            self._taken.append(taken)

    def _on_end(self) -> None:
        self._failure = self._failure or ReadingEnded("the broker gives no more letters")
        self._arrived.set()

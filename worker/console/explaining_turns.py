"""Explanations of events, one at a time and in a thread of their own: each may take a core for a
second, and the threads that all share read and write the ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")

MOST_WAITING: Final = 8
"""With the one that has its turn: the last waits for some ten seconds."""


class TooManyWait(Exception):
    """Too many explanations of events wait: nobody should wait for so long."""


class ExplainingTurns:
    """The turns of the explanations of events; belongs to one console."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "explain")
        self._waiting = 0

    async def take(
        self,
        function: Callable[Arguments, Answer],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Answer:
        """The explanation that `function` gives, once it has its turn. Raises `TooManyWait`."""
        if self._waiting >= MOST_WAITING:
            raise TooManyWait
        self._waiting += 1
        try:
            work = self._thread.submit(function, *arguments, **named)
            return await asyncio.wrap_future(work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Take no explanations of events any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

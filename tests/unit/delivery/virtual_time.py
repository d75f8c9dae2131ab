"""Tests in virtual time: whenever nothing is left to do, the clock jumps to the next timer.

So a test may wait for minutes and takes milliseconds, and what it sees does not depend on the
machine. It is for code that needs no socket and no thread.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any
from unittest import mock

_NEXT_TO_NOTHING = 1e-6


class _Jump(selectors.SelectSelector):
    now = 1000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("the test waits for what will never happen")
        self.now += max(0.0, timeout)
        return []


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now

    def spend(self, seconds: float) -> None:
        self._jump.now += seconds


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The test as a plain function; `time.monotonic` is the loop's time in it."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        with (
            asyncio.Runner(loop_factory=_Loop) as runner,
            mock.patch("time.monotonic", runner.get_loop().time),
        ):
            runner.run(test(*arguments, **named))

    return run


def now() -> float:
    """Seconds of the virtual clock."""
    return asyncio.get_running_loop().time()


def spend(seconds: float) -> None:
    """Pass so much time without a turn for others, as work of the processor does."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, _Loop)
    loop.spend(seconds)


async def quiet() -> None:
    """Return when nothing is left to do at this moment."""
    await asyncio.sleep(_NEXT_TO_NOTHING)


async def after(seconds: float) -> None:
    """Return when `seconds` have passed, and nothing is left to do."""
    await asyncio.sleep(seconds)
    await quiet()

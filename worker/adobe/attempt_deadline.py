"""Until when the requests of one attempt may be written.

A timer alone does not keep a request back: who was stopped, or whose machine slept, may find a
kept-alive line ready and write on it before its expired timers run. By then the lease is another
worker's, and what is written may overwrite a newer choice. So there is a look at the clock right
before every write.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


def awake_or_not() -> float:
    """Seconds of a clock that goes on while the machine sleeps, where there is such a clock:
    `time.monotonic` stands still meanwhile on Linux, and a lease does not.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment `at` of a `clock`, in its seconds."""

    at: float
    clock: Callable[[], float] = awake_or_not

    @property
    def is_over(self) -> bool:
        return self.clock() >= self.at


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def until(deadline: Deadline) -> Iterator[None]:
    """Within the block, and in the tasks that it starts, no request is written after `deadline`."""
    token = _current.set(deadline)
    try:
        yield
    finally:
        _current.reset(token)


def is_too_late() -> bool:
    """Whether what runs now must not write a request any more; without a deadline it may."""
    deadline = _current.get()
    return deadline is not None and deadline.is_over

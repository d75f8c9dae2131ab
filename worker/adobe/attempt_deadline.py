"""Until when the requests of one attempt may be written, and whether one was written and has no
answer yet.

A timer alone does not keep a request back: who was stopped, or whose machine slept, may find a
kept-alive line ready and write on it before its expired timers run. By then the lease is another
worker's, and what is written may overwrite a newer choice. So there is a look at the clock right
before every write.

Who gives such a request up, or loses its line, can't tell whether it is carried out. Of one that
was never written it is sure that it is not.
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
    """The deadline of an attempt: the moment `at` of a `clock`, in its seconds."""

    at: float
    clock: Callable[[], float] = awake_or_not

    @property
    def is_over(self) -> bool:
        return self.clock() >= self.at


_deadline: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def until(deadline: Deadline) -> Iterator[None]:
    """Within the block, and in the tasks that it starts, no request is written after `deadline`."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


def is_too_late() -> bool:
    """Whether what runs now must not write a request any more; without a deadline it may."""
    deadline = _deadline.get()
    return deadline is not None and deadline.is_over


class Writing:
    """Whether a request is written. `awaits_answer`: bytes of it are, and no answer has come. One
    that `was_repeated` was written again at once, on a new line, because the line ended without
    one.
    """

    __slots__ = ("awaits_answer", "was_repeated")

    def __init__(self) -> None:
        self.awaits_answer = self.was_repeated = False


_writing: ContextVar[Writing | None] = ContextVar("writing", default=None)


@contextmanager
def watched() -> Iterator[Writing]:
    """What becomes of the requests that are made within the block and change something."""
    writing = Writing()
    token = _writing.set(writing)
    try:
        yield writing
    finally:
        _writing.reset(token)


def being_watched() -> Writing:
    """Where to note whether a request is written; for nobody, if nobody watches."""
    return _writing.get() or Writing()

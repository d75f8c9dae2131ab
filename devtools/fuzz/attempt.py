"""One case: what it raises and what it costs."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Final, NamedTuple

from devtools.fuzz.target import Case, Target

_TRIES_OF_A_SLOW_ONE: Final = 3
"""The least counts: the first may have filled a cache, and neighbours slow a processor down."""
_LONGEST_SECONDS: Final = 5.0
_SHOWN_CHARACTERS: Final = 300


class TooLong(BaseException):
    """A case doesn't come to an end. Not an Exception, since readers catch all of these."""


class Fault(NamedTuple):
    """What is wrong: two cases with the same fault need one mending. `where` is empty for what is
    only slow.
    """

    kind: str
    where: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one case: the CPU seconds it took, and its fault, if any, with a sentence about it."""

    seconds: float
    fault: Fault | None = None
    sentence: str = ""


SLOW: Final = Fault("slow", "")


def attempt(target: Target, case: Case) -> Outcome:
    """Check one case. To be called within `watched`."""
    outcome = _once(target, case)
    if outcome.fault is not None or outcome.seconds <= target.most_seconds:
        return outcome
    seconds = outcome.seconds
    for _ in range(_TRIES_OF_A_SLOW_ONE):
        seconds = min(seconds, _once(target, case).seconds)
    return outcome if seconds <= target.most_seconds else _slow(seconds)


@contextmanager
def watched() -> Iterator[None]:
    """Ends a case that takes seconds; what it spends is CPU time, so a busy machine ends none."""

    def tick(_number: int, _frame: FrameType | None) -> None:
        if _running.began is not None and time.thread_time() - _running.began > _LONGEST_SECONDS:
            raise TooLong

    before = signal.signal(signal.SIGPROF, tick)
    signal.setitimer(signal.ITIMER_PROF, 1.0, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


class _Running:
    began: float | None = None


_running: Final = _Running()


def _once(target: Target, case: Case) -> Outcome:
    clock = time.thread_time
    check = target.check
    _running.began = began = clock()
    try:
        check(case)
    except TooLong:
        return _slow(_LONGEST_SECONDS)
    except Exception as error:
        seconds = clock() - began
        where = _where(error.__traceback__)
        fault = Fault(type(error).__name__, where)
        return Outcome(seconds, fault, f"{fault.kind} in {where}: {str(error)[:_SHOWN_CHARACTERS]}")
    else:
        return Outcome(clock() - began)
    finally:
        _running.began = None


def _slow(seconds: float) -> Outcome:
    return Outcome(seconds, SLOW, f"{seconds * 1000:.0f} ms of CPU")


def _where(trace: TracebackType | None) -> str:
    """The innermost function of the product, or of the check that asserts something of it; of a
    trace without any of these the innermost of all.
    """
    ours = innermost = ""
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        innermost = f"{module}:{trace.tb_frame.f_code.co_qualname}"
        if module.startswith(("worker.", "devtools.fuzz.targets")):
            ours = innermost
        trace = trace.tb_next
    return ours or innermost

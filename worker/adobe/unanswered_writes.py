"""Whether a request that changes something at Adobe was written, and is not answered.

Who gives such a request up, or loses its line, can't tell whether it is carried out. Of one that
was never written it is sure that it is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Writing:
    """`awaits_answer`: bytes of a request are written, and no answer has come. One that
    `was_repeated` was written again at once, on a new line, because the line ended without one.
    """

    __slots__ = ("awaits_answer", "was_repeated")

    def __init__(self) -> None:
        self.awaits_answer = self.was_repeated = False


_current: ContextVar[Writing | None] = ContextVar("writing", default=None)


@contextmanager
def watched() -> Iterator[Writing]:
    """What becomes of the requests that are made within the block and change something."""
    writing = Writing()
    token = _current.set(writing)
    try:
        yield writing
    finally:
        _current.reset(token)


def being_watched() -> Writing:
    """Where to note it down; for nobody, if nobody watches."""
    return _current.get() or Writing()

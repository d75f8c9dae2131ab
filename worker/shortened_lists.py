"""A long list, told by its first members and the number of the others. Pure.

What is told to an operator must stay readable, and cheap, however many are concerned at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from worker.counting import counted

TOLD_AT_MOST: Final = 10


def names(of: Sequence[str]) -> str:
    """The first ten names of a list, and how many more there are, within a sentence."""
    return ", ".join(first(of))


def first(of: Iterable[str], noun: str = "", then: str = "") -> list[str]:
    """The first ten of a list; where there are more, their number after these, as `and 7 more`,
    with the `noun` (given for one of them) as `and 7 more files`, and what is to be said `then`.
    """
    every = list(of)
    rest = len(every) - TOLD_AT_MOST
    if rest <= 0:
        return every
    others = counted(rest, f"more {noun}") if noun else f"{rest} more"
    return [*every[:TOLD_AT_MOST], f"and {others}{then}"]

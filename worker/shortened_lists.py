"""A long list, told by its first members and the number of the others. Pure.

What is told to an operator must stay readable, and cheap, however many are concerned at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

TOLD_AT_MOST: Final = 10


def names(of: Sequence[str]) -> str:
    """The first ten, and how many more there are, within a sentence."""
    return ", ".join(first(of, "more"))


def first(of: Iterable[str], others: str) -> list[str]:
    """The first ten; where there are more, their number as `and 7 OTHERS` after these."""
    every = list(of)
    rest = len(every) - TOLD_AT_MOST
    return [*every[:TOLD_AT_MOST], f"and {rest} {others}"] if rest > 0 else every

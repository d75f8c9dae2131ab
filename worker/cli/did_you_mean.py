"""Names given to a command that are not known: the one that was probably meant is told."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from worker.errors import WrongUse


class UnknownName(WrongUse):
    """A command was given a name that nothing has; the text says what was meant, or may be said."""


def meant(said: str, known: Iterable[str]) -> str | None:
    """The known name that `said` is a slip of the pen from, if any."""
    found = get_close_matches(said, sorted(known), 1)
    return found[0] if found else None

"""Remembers which organizations had a valid integration lately, in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

LATELY_SECONDS: Final = 86_400.0
"""Long enough for somebody to notice that a customer's file is gone, and to put it back."""


class RecentOrganizations:
    """All times are seconds of one clock, which the caller reads."""

    def __init__(self) -> None:
        self._lost: dict[str, float] = {}
        self._remembered: dict[str, float] = {}
        self._dismissed: set[str] = set()

    def lose(self, organization: str, now: float) -> None:
        """It has just lost an enabled integration."""
        self._dismissed.discard(organization)
        self._lost[organization] = now

    def dismiss(self, organization: str) -> None:
        """Its integration was disabled before the file went away, so somebody meant it."""
        self._remembered.pop(organization, None)
        self._dismissed.add(organization)

    def welcome(self, organization: str) -> None:
        """It has an enabled integration now."""
        self._dismissed.discard(organization)

    def remember(self, organizations: Iterable[str], now: float) -> None:
        """Others have seen these lately; counts from the first time that it is said."""
        for one in organizations:
            if one not in self._dismissed:
                self._remembered.setdefault(one, now)

    def has(self, organization: str, now: float) -> bool:
        """Whether it had a valid integration within the last 24 h."""
        return any(
            now - times[organization] < LATELY_SECONDS
            for times in (self._lost, self._remembered)
            if organization in times
        )

    def forget_old(self, now: float) -> None:
        """Drop what is no longer of interest."""
        for times in (self._lost, self._remembered):
            for one in [one for one, at in times.items() if now - at >= LATELY_SECONDS]:
                del times[one]

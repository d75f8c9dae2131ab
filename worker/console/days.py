"""The days of which somebody wants the acts of the trail. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

_MOST_TEXT: Final = 200


class NoSuchDays(ValueError):
    """What was asked for as days of the trail are no days; the text says why."""


class Days(NamedTuple):
    """Days of the trail, from the first to the last, in UTC, both included; None for no bound."""

    first: date | None
    last: date | None

    @property
    def since_ms(self) -> int | None:
        """ms since 1970 of the first moment of the trail's days."""
        return None if self.first is None else _ms(self.first)

    @property
    def until_ms(self) -> int | None:
        """ms since 1970 of the first moment that is after the trail's days."""
        return None if self.last is None else _ms(self.last + timedelta(days=1))

    @property
    def words(self) -> str:
        """The days of acts in words, for people and the trail."""
        if self.first is None and self.last is None:
            return "of all times"
        parts = [f"from {self.first}"] if self.first is not None else []
        return " ".join(parts + ([f"to {self.last}"] if self.last is not None else []))

    @property
    def file_part(self) -> str:
        """The days of acts, for the name of a file."""
        return "-".join(str(one) for one in (self.first, self.last) if one is not None) or "all"


def days_in(said: Mapping[str, str]) -> Days:
    """The days of acts that a form asks for. Raises `NoSuchDays`."""
    days = Days(_day(said.get("from", "")), _day(said.get("to", "")))
    if days.first is not None and days.last is not None and days.last < days.first:
        raise NoSuchDays("the last day is before the first one")
    return days


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text[:_MOST_TEXT])
        _ms(day + timedelta(days=1))
    except (ValueError, OverflowError):
        raise NoSuchDays("a day is written like 2026-11-30") from None
    return day


def _ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)

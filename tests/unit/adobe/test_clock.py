"""How far the worker's clock is off, by the replies of others."""

from __future__ import annotations

import pytest

from worker.adobe.clock import ClockOffset

NOON = 1_767_268_800.0  # Thu, 01 Jan 2026 12:00:00 GMT


def test_a_slow_clock_is_seen_by_the_others() -> None:
    clock = ClockOffset(lambda: NOON - 600)
    for _ in range(3):
        clock.note("Thu, 01 Jan 2026 12:00:00 GMT")
    assert clock.seconds == 600


def test_nothing_is_said_until_enough_have_said_something() -> None:
    clock = ClockOffset(lambda: NOON)
    clock.note("Thu, 01 Jan 2026 12:00:00 GMT")
    assert clock.seconds is None


def test_one_bad_clock_among_others_does_not_decide() -> None:
    clock = ClockOffset(lambda: NOON)
    for year in (2026, 2026, 2099, 2026):
        clock.note(f"Thu, 01 Jan {year} 12:00:00 GMT")
    assert clock.seconds == 0


@pytest.mark.parametrize("date", [None, "", "soon", "Thu, 99 Jan 2026 12:00:00 GMT", "0" * 9000])
def test_what_is_no_date_is_ignored(date: str | None) -> None:
    clock = ClockOffset(lambda: NOON)
    for _ in range(5):
        clock.note(date)
    assert clock.seconds is None

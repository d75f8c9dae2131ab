"""How far the worker's clock is off, by the replies of others."""

from __future__ import annotations

import pytest

from worker.adobe.clock_offset import ClockOffset

NOON = 1_767_268_800.0  # Thu, 01 Jan 2026 12:00:00 GMT


def test_a_slow_clock_is_seen_by_the_others() -> None:
    clock = ClockOffset(lambda: NOON - 600)
    for _ in range(3):
        clock.note("adobe.example", "Thu, 01 Jan 2026 12:00:00 GMT")
    assert clock.seconds == 600


def test_nothing_is_said_until_enough_have_said_something() -> None:
    clock = ClockOffset(lambda: NOON)
    clock.note("adobe.example", "Thu, 01 Jan 2026 12:00:00 GMT")
    assert clock.seconds is None


RIGHT, WRONG = "Thu, 01 Jan 2026 12:00:00 GMT", "Thu, 01 Jan 2026 13:00:00 GMT"


@pytest.mark.parametrize("place", range(4))
def test_one_bad_reply_among_others_does_not_decide(place: int) -> None:
    clock = ClockOffset(lambda: NOON)
    for number in range(4):
        clock.note("adobe.example", WRONG if number == place else RIGHT)
    assert clock.seconds == 0


@pytest.mark.parametrize("right_hosts", [1, 2, 3])
def test_a_busy_host_with_a_bad_clock_has_one_voice(right_hosts: int) -> None:
    clock = ClockOffset(lambda: NOON)
    for number in range(right_hosts):
        clock.note(f"right-{number}.example", RIGHT)
    for _ in range(100):
        clock.note("wrong.example", WRONG)
    assert clock.seconds == 0


def test_a_host_that_is_mended_is_soon_believed() -> None:
    clock = ClockOffset(lambda: NOON)
    for date in [WRONG] * 100 + [RIGHT] * 5:
        clock.note("adobe.example", date)
    assert clock.seconds == 0


def test_of_many_hosts_the_last_ones_are_kept() -> None:
    clock = ClockOffset(lambda: NOON)
    for number in range(1000):
        clock.note(f"early-{number}.example", RIGHT)
    for number in range(60):
        clock.note(f"late-{number}.example", WRONG)
    assert clock.seconds == 3600, "only 4 of those before them are left"


@pytest.mark.parametrize("date", [None, "", "soon", "Thu, 99 Jan 2026 12:00:00 GMT", "0" * 9000])
def test_what_is_no_date_is_ignored(date: str | None) -> None:
    clock = ClockOffset(lambda: NOON)
    for _ in range(5):
        clock.note("adobe.example", date)
    assert clock.seconds is None

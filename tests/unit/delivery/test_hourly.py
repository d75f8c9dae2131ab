"""A line an hour for each thing, and no more than a thousand of them."""

from __future__ import annotations

from worker.delivery.hourly_warnings import Hourly


def test_a_thing_is_told_once_an_hour() -> None:
    hourly = Hourly()
    told = [now for now in range(0, 7300, 100) if hourly.is_due("org", now)]
    assert told == [0, 3600, 7200]


def test_things_are_told_each_for_itself() -> None:
    hourly = Hourly()
    assert hourly.is_due("a", 0)
    assert hourly.is_due("b", 0)
    assert not hourly.is_due("a", 1)


def test_made_up_things_do_not_fill_the_log_and_the_next_hour_is_a_new_one() -> None:
    hourly = Hourly()
    assert sum(hourly.is_due(f"org-{number}", 0) for number in range(5000)) == 1000
    assert hourly.is_due("org-4999", 3600)

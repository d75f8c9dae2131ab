"""Numbers, times and foreign words."""

from __future__ import annotations

import pytest

from worker.console.formats import (
    moment,
    number,
    plain,
    relative,
    rough_span,
    span,
    with_code,
)

NBSP = "\u00a0"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "0"),
        (7, "7"),
        (1234567, "1,234,567"),
        (0.44, "0.44"),
        (0.001, "0"),
        (1.04, "1"),
        (99.96, "100"),
        (215.4, "215"),
    ],
)
def test_numbers(value: float, told: str) -> None:
    assert number(value) == told


@pytest.mark.parametrize(
    ("ms", "told"),
    [
        (0, "0 ms"),
        (-5, "0 ms"),
        (999, "999 ms"),
        (1000, "1 s"),
        (1100, "1.1 s"),
        (9999, "10.0 s"),
        (42_000, "42 s"),
        (1_329_000, "22 min 9 s"),
        (3_600_000, "1 h"),
        (3_605_000, "1 h"),
        (525_600_000, "6 d 2 h"),
    ],
)
def test_spans_have_two_units_at_most(ms: int, told: str) -> None:
    assert span(ms).replace(NBSP, " ") == told


def test_relative_times() -> None:
    now = 1_800_000_000_000
    for at, told in ((now, "now"), (now - 90_000, "1 min ago"), (now + 8_400, "in 8.4 s")):
        assert relative(at, now).replace(NBSP, " ") == told
    assert rough_span(1_329_000).replace(NBSP, " ") == "22 min"


def test_a_time_that_no_calendar_has_is_told() -> None:
    assert moment(0) == "1970-01-01 00:00:00 UTC"
    for far in (10**18, -(10**18)):
        assert moment(far) == "at no time that a calendar has"


def test_foreign_text_is_one_line_that_shows_what_is_in_it() -> None:
    assert plain("a\u202eb\x00c\nd\ud800") == "a\\u202eb\\u0000c\u21b5d\\ud800"
    assert plain("\u00e4\u4e2d\U0001f600") == "\u00e4\u4e2d\U0001f600"
    cut = plain("x" * 200_000)
    assert cut == "x" * 20_000 + "\u2026 (180,000 characters more)"


def test_commands_in_a_sentence_are_shown_as_code_and_nothing_in_it_is_markup() -> None:
    said = with_code("Then `consent-worker <b>` & see.")
    assert str(said) == "Then <code>consent-worker &lt;b&gt;</code> &amp; see."

"""Charts: shapes within their box, the table that says the same."""

from __future__ import annotations

import re

import pytest

from worker.console.charts.honouring import honour_chart
from worker.console.charts.outcomes import outcome_chart
from worker.console.charts.parts import broken_line, round_scale, table_rows, times_along
from worker.ledger.honour_times import HonourTimes, quantiles
from worker.ledger.outcome_series import OutcomeSeries, Slots
from worker.ledger.packing import OUTCOMES

NOW = 1_800_000_000_000


def _series(slots: Slots, **counts: list[int]) -> OutcomeSeries:
    none = [0] * slots.number
    return OutcomeSeries(slots, {one: counts.get(one, none) for one in OUTCOMES}, {})


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 1), (0.2, 0.3), (1, 1.5), (215, 300), (3, 3), (16, 30), (61, 75)]
)
def test_a_scale_is_round_and_has_room(highest: float, top: float) -> None:
    end, values = round_scale(highest)
    assert end == pytest.approx(top)
    assert values[0] == 0
    assert values[-1] == pytest.approx(end)


def test_shapes_stay_in_their_box_and_stand_upon_each_other() -> None:
    slots = Slots.until(NOW, 1, 60)
    chart = outcome_chart(
        _series(slots, delivered=[600] * 60, dead=[0] * 30 + [60] * 30, parked=[6] * 60), NOW, 0
    )
    numbers = [float(one) for shape in chart.shapes for one in re.findall(r"-?[\d.]+", shape.path)]
    assert min(numbers) >= 0
    assert max(numbers) <= 100
    assert [shape.look for shape in chart.shapes] == [
        "a-delivered",
        "a-waiting",
        "a-dead",
        "l l-delivered",
    ]
    assert [row[1] for row in chart.rows] == ["10"] * 5 + [chart.rows[5][1]]
    assert [row[4] for row in chart.rows[:5]] == ["0", "0", "0", "1", "1"]
    assert "delivered" in chart.label


def test_the_slot_that_has_just_begun_is_measured_by_what_of_it_is_over() -> None:
    now = NOW - NOW % 60_000 + 6_000
    slots = Slots.until(now, 1, 60)
    chart = outcome_chart(_series(slots, delivered=[60] * 59 + [6]), now, 0)
    assert chart.lines[0].values[-2:] == [1.0, 1.0]
    at_once = outcome_chart(_series(slots, delivered=[60] * 59 + [0]), now - 6_000, 0)
    assert at_once.lines[0].values[-2:] == [1.0, 1.0]


def test_nothing_is_drawn_of_nothing() -> None:
    slots = Slots.until(NOW, 15, 96)
    assert outcome_chart(_series(slots), NOW, 0).label == "No receipts now"
    none = [None] * 24
    times = HonourTimes(None, None, none, none, is_sample=False, looked_at=0)
    chart = honour_chart(times, Slots.until(NOW, 60, 24))
    assert chart.shapes == []
    assert chart.label == "No withdrawal was honoured in this time"
    assert {cell for row in chart.rows for cell in row[1:]} == {"\u2013"}


def test_before_the_ledger_begins_nothing_is_drawn_and_no_zero_is_told() -> None:
    slots = Slots.until(NOW, 15, 96)
    begins = slots.since_ms + 90 * slots.ms + 120_000
    series = _series(slots, delivered=[0] * 90 + [780] + [900] * 5)
    chart = outcome_chart(series, NOW, begins)
    assert chart.lines[0].values[:-1] == [None] * 90 + [1.0] * 5
    places = [float(one) for one in re.findall(r"[ML]([\d.]+),", chart.shapes[0].path)]
    assert min(places) == pytest.approx(100 * 90 / 95, abs=0.1)
    assert [row[1] for row in chart.rows] == ["\u2013"] * 22 + ["1", "1"]
    assert chart.note == "No receipts before 2027-01-15 06:33:00 UTC: the ledger begins then."
    assert outcome_chart(series, NOW, slots.since_ms).note == ""
    alone = outcome_chart(series, NOW, NOW)
    assert [one.path for one in alone.shapes][1] == "M99.2,0.0L100.0,0.0"
    empty = outcome_chart(_series(slots), NOW, None)
    assert {cell for row in empty.rows for cell in row[1:]} == {"\u2013"}


@pytest.mark.parametrize("minutes_ago", [10, 60, 130, 230])
def test_a_young_ledger_is_measured_by_the_time_that_it_knows(minutes_ago: int) -> None:
    now = NOW - NOW % 60_000 + 30_000
    slots = Slots.until(now, 120, 84)
    begins = now - minutes_ago * 60_000
    since = [max(begins, slots.since_ms + n * slots.ms) for n in range(84)]
    ends = [min(now, slots.since_ms + (n + 1) * slots.ms) for n in range(84)]
    counts = [max(0, end - one) // 1000 for one, end in zip(since, ends, strict=True)]
    chart = outcome_chart(_series(slots, delivered=counts), now, begins)
    known = [one for one in chart.lines[0].values if one is not None]
    assert known == [pytest.approx(1.0, abs=0.01)] * len(known)


@pytest.mark.parametrize(
    ("minutes", "number", "along", "rows", "first"),
    [
        (1, 60, ["07:01", "08:01"], 6, "07:01\u201307:11"),
        (15, 96, ["01-14 08:01", "01-15 08:01"], 24, "01-14 08:01\u201309:01"),
        (120, 84, ["01-08", "01-15"], 7, "01-08 08:01\u201301-09 08:01"),
    ],
)
def test_times_say_which_day_where_the_time_of_day_does_not(
    minutes: int, number: int, along: list[str], rows: int, first: str
) -> None:
    slots = Slots.until(NOW, minutes, number)
    ticks = [one.words for one in times_along(slots)]
    assert [ticks[0], ticks[-1]] == along
    told = table_rows(slots)
    assert (len(told), told[0][0], told[-1][2]) == (rows, first, number)


def test_a_gap_is_a_gap() -> None:
    assert broken_line([None, 10.0, None, 20.0, 30.0]) == "M25.0,10.0h.4M75.0,20.0h.4L100.0,30.0"
    assert broken_line([None]) == ""


def test_quantiles() -> None:
    assert quantiles([]) is None
    assert quantiles([5]) == (1, 5, 5)
    assert quantiles(list(range(101, 0, -1))) == (101, 51, 100)

"""Charts: shapes within their box, the table that says the same."""

from __future__ import annotations

import re

import pytest

from worker.console.charts.honouring import honour_chart
from worker.console.charts.outcomes import outcome_chart
from worker.console.charts.parts import broken_line, round_scale
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
        _series(slots, delivered=[600] * 60, dead=[0] * 30 + [60] * 30, parked=[6] * 60), NOW
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
    assert [row[1] for row in chart.rows] == ["10"] * 3 + [chart.rows[3][1]]
    assert [row[4] for row in chart.rows[:3]] == ["0", "0", "1"]
    assert "delivered" in chart.label


def test_the_slot_that_has_just_begun_is_measured_by_what_of_it_is_over() -> None:
    now = NOW - NOW % 60_000 + 6_000
    slots = Slots.until(now, 1, 60)
    chart = outcome_chart(_series(slots, delivered=[60] * 59 + [6]), now)
    assert chart.lines[0].values[-2:] == [1.0, 1.0]
    at_once = outcome_chart(_series(slots, delivered=[60] * 59 + [0]), now - 6_000)
    assert at_once.lines[0].values[-2:] == [1.0, 1.0]


def test_nothing_is_drawn_of_nothing() -> None:
    slots = Slots.until(NOW, 15, 96)
    assert outcome_chart(_series(slots), NOW).label == "No events now"
    none = [None] * 32
    times = HonourTimes(None, None, none, none, is_sample=False)
    chart = honour_chart(times, Slots.until(NOW, 45, 32))
    assert chart.shapes == []
    assert chart.label == "No withdrawal was honoured in this time"
    assert {cell for row in chart.rows for cell in row[1:]} == {"\u2013"}


def test_a_gap_is_a_gap() -> None:
    assert broken_line([None, 10.0, None, 20.0, 30.0]) == "M25.0,10.0h.4M75.0,20.0h.4L100.0,30.0"
    assert broken_line([None]) == ""


def test_quantiles() -> None:
    assert quantiles([]) is None
    assert quantiles([5]) == (1, 5, 5)
    assert quantiles(list(range(101, 0, -1))) == (101, 51, 100)

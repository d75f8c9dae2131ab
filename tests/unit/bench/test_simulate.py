"""The predictions of fleets: they rest on kept figures, and reproduce what was measured."""

import json
import re
from dataclasses import replace
from typing import Final

import pytest

from bench.simulate.__main__ import main
from bench.simulate.figures import KEPT, kept_value, read_figures
from bench.simulate.fleet import ADOBE, QUEUES, REDIS, Fleet, costs_of, predict
from bench.simulate.one_worker import Load, run
from bench.simulate.page import PAGE, with_predictions

FIGURES: Final = read_figures()
RESULTS: Final = json.loads(KEPT.read_text())
TOLERANCE: Final = 0.2
"""The parts of a benchmark of an hour differ by so much from each other."""
_STUB_MS: Final = 1.0
_ROOT: Final = PAGE.parents[1]


def _measured(place: str) -> float:
    return kept_value(RESULTS, place)


def test_the_measured_run_of_one_worker_is_reproduced_from_costs_of_other_runs() -> None:
    """The costs come from the scenario `customers`, and no figure of the run itself is used."""
    costs = costs_of(FIGURES, has_redis=False, has_receipts=False)
    predicted = run(costs, Load(1, None, _STUB_MS))
    near = pytest.approx(_measured("contestants.ours.events_per_second"), rel=TOLERANCE)
    assert predicted.per_second == near
    near = pytest.approx(_measured("contestants.ours.cpu_us_per_event"), rel=TOLERANCE)
    assert predicted.cpu_us_per_event == near
    # From some fifty events on a request is a small part of the cost, so the size follows chance.
    measured = _measured("contestants.ours.events_per_request")
    assert measured / 2.5 <= predicted.events_per_request <= measured * 2.5


def test_the_measured_run_with_the_state_in_redis_is_reproduced() -> None:
    costs = costs_of(FIGURES, has_redis=True, has_receipts=False)
    predicted = run(costs, Load(1, None, _STUB_MS))
    near = pytest.approx(_measured("contestants.ours-redis.events_per_second"), rel=TOLERANCE)
    assert predicted.per_second == near


def test_the_measured_cost_of_a_thousand_customers_is_reproduced() -> None:
    """Ten of them fill batches; of a thousand hardly two events are ever in hand together."""
    costs = costs_of(FIGURES, has_redis=False, has_receipts=False)
    for customers, measured in ((10, "scattered_few_us"), (1_000, "scattered_many_us")):
        predicted = run(costs, Load(customers, None, _STUB_MS))
        near = pytest.approx(_measured(f"scenarios.customers.{measured}"), rel=TOLERANCE)
        assert predicted.cpu_us_per_event == near


def test_the_same_seed_gives_the_same_and_another_one_nearly_the_same() -> None:
    costs = costs_of(FIGURES, has_redis=True, has_receipts=False)
    load = Load(customers=50, per_second=800.0, round_trip_ms=150.0)
    first, again, other = run(costs, load), run(costs, load), run(costs, replace(load, seed=2))
    assert again == first
    assert other != first
    assert other.per_second == pytest.approx(first.per_second, rel=0.05)


def test_what_binds_is_told_and_goes_away_with_what_is_added() -> None:
    slow_queues = replace(FIGURES["queue_per_second"], value=2_000.0)
    figures = {**FIGURES, "queue_per_second": slow_queues}
    ten_customers = Fleet(workers=10, customers=10)
    one_queue = predict(figures, ten_customers)
    assert one_queue.first_bound == QUEUES
    more = replace(ten_customers, queues=one_queue.queues_wanted, masters=one_queue.masters_wanted)
    bound_by_adobe = predict(figures, more)
    assert bound_by_adobe.first_bound == ADOBE
    assert bound_by_adobe.per_second == 15_000
    with_a_large_one = predict(figures, replace(more, largest_share=0.5))
    assert (with_a_large_one.first_bound, with_a_large_one.per_second) == (ADOBE, 3_000)


def test_redis_is_just_busy_where_it_is_the_bound() -> None:
    fleet = Fleet(workers=100, customers=10_000, queues=100, masters=3)
    predicted = predict(FIGURES, fleet)
    assert predicted.first_bound == REDIS
    assert predicted.redis_cores == pytest.approx(3, rel=0.02)


def test_more_workers_than_needed_make_smaller_batches_and_more_requests() -> None:
    few, many = (
        predict(FIGURES, Fleet(workers, 10, queues=20, masters=20)) for workers in (10, 100)
    )
    assert few.per_second == many.per_second == 15_000
    assert many.requests_per_second > 2 * few.requests_per_second
    assert many.cpu_us_per_event > few.cpu_us_per_event


def test_receipts_cost_a_worker_and_a_connection() -> None:
    without, having = (
        predict(FIGURES, Fleet(10, 10, queues=20, masters=20, has_receipts=has))
        for has in (False, True)
    )
    costs = [costs_of(FIGURES, has_redis=True, has_receipts=has) for has in (False, True)]
    assert costs[0].event_us < costs[1].event_us
    assert having.broker_connections == without.broker_connections + 10
    assert (without.receipts_per_second, having.receipts_per_second) == (0, 30_000)


def test_each_figure_says_where_it_comes_from() -> None:
    for name, figure in FIGURES.items():
        assert figure.value > 0, name
        assert figure.unit, name
        assert figure.says, name
        for path in re.findall(r"\b(?:docs|bench)/[\w/.]*\w", figure.source):
            assert (_ROOT / path).exists(), name
    with pytest.raises(LookupError, match=r"contestants\.nobody\.events_per_second: run"):
        kept_value(RESULTS, "contestants.nobody.events_per_second")


def test_the_page_has_the_predictions_of_today() -> None:
    text = PAGE.read_text()
    assert with_predictions(text) == text, "write them by `python -m bench.simulate.page`"


def test_the_command_tells_the_bounds_and_all_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--workers", "3", "--customers", "20", "--figure", "queue_per_second=900"]
    monkeypatch.setattr("sys.argv", ["simulate", *options])
    main()
    told = capsys.readouterr().out
    assert re.search(r"first bound +│ +event queues", told)
    assert "queue_per_second: 900 events/s" in told
    assert {name for name in FIGURES if f"{name}: " not in told} == set()


def test_an_unknown_figure_and_a_fleet_of_none_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for options in (["--figure", "speed=1"], ["--workers", "0"], ["--largest-share", "2"]):
        monkeypatch.setattr("sys.argv", ["simulate", *options])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
    assert "no figure has the name speed" in capsys.readouterr().err

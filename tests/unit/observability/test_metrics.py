"""What is counted, and under which names it is scraped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import pytest
from prometheus_client import generate_latest

from tests.unit.examples import NOW_MS, envelope, integration
from worker.broker.message import Incoming
from worker.broker.retry_state import RetryState
from worker.delivery.delivery import Delivery
from worker.delivery.outcome import Dead, Failure, Outcome, Parked, Retried, Skipped
from worker.observability.metrics import Metrics
from worker.observability.outcome_names import REASONS, describe
from worker.reasons import DeadReason, ErrorCode, ParkReason, SkipReason
from worker.transform.decide import decide
from worker.transform.decision_types import Deliver


def scraped(metrics: Metrics) -> list[str]:
    return generate_latest(metrics.registry).decode().splitlines()


def known(*ids: str) -> Metrics:
    metrics = Metrics()
    metrics.know(ids)
    return metrics


@pytest.mark.parametrize(
    ("integration", "outcome", "name", "labels"),
    [
        pytest.param(
            "none",
            Skipped(SkipReason.NO_INTEGRATION),
            "skipped",
            'outcome="skipped",reason="no-integration"',
            id="skipped",
        ),
        pytest.param(
            "shop",
            Retried(5.0, Failure(ErrorCode.TIMEOUT, "no answer")),
            "retried",
            'outcome="retried",reason="timeout"',
            id="retried",
        ),
        pytest.param(
            "shop",
            Parked(5.0, ParkReason.LANE_FULL),
            "parked",
            'outcome="parked",reason="lane-full"',
            id="parked",
        ),
        pytest.param(
            "shop",
            Dead(DeadReason.RETRIES_EXHAUSTED, Failure(ErrorCode.TIMEOUT, "no answer")),
            "dead",
            'outcome="dead",reason="retries-exhausted"',
            id="dead",
        ),
    ],
)
def test_an_outcome_is_counted_and_timed(
    integration: str, outcome: Outcome, name: str, labels: str
) -> None:
    metrics = known("shop")
    for _ in range(2):
        metrics.count(integration, *describe(outcome), 0.2)
    lines = scraped(metrics)
    assert f"consent_outcomes_total{{{labels}}} 2.0" in lines
    by_integration = f'{{integration="{integration}",outcome="{name}"}} 2.0'
    assert f"consent_integration_outcomes_total{by_integration}" in lines
    assert f'consent_delivery_seconds_bucket{{le="0.1",outcome="{name}"}} 0.0' in lines
    assert f'consent_delivery_seconds_count{{outcome="{name}"}} 2.0' in lines
    assert "no answer" not in "".join(lines)


def test_what_was_accepted_in_one_request_is_counted_and_timed_one_by_one() -> None:
    metrics = known("shop")
    metrics.count_delivered("shop", [0.01, 0.2])
    metrics.count_delivered("shop", [0.3])
    lines = scraped(metrics)
    assert 'consent_outcomes_total{outcome="delivered",reason=""} 3.0' in lines
    labels = '{integration="shop",outcome="delivered"}'
    assert f"consent_integration_outcomes_total{labels} 3.0" in lines
    assert 'consent_delivery_seconds_bucket{le="0.05",outcome="delivered"} 1.0' in lines
    assert 'consent_delivery_seconds_count{outcome="delivered"} 3.0' in lines


def test_every_series_is_there_before_anything_has_happened() -> None:
    lines = scraped(known("shop"))
    for outcome, reasons in REASONS.items():
        for reason in reasons:
            assert f'consent_outcomes_total{{outcome="{outcome}",reason="{reason}"}} 0.0' in lines
        for one in ("shop", "none"):
            labels = f'{{integration="{one}",outcome="{outcome}"}}'
            assert f"consent_integration_outcomes_total{labels} 0.0" in lines
    for line in (
        'consent_adobe_replies_total{status_class="5xx"} 0.0',
        'consent_choice_lag_seconds_count{kind="withdrawn"} 0.0',
        'consent_integration_repeats_total{integration="shop"} 0.0',
        'consent_lateness_seconds_count{kind="retry"} 0.0',
        'consent_repeats_total{result="planned"} 0.0',
        "consent_broker_reconnects_total 0.0",
        "consent_delayed_requests_total 0.0",
        "consent_delivery_attempts_count 0.0",
        "consent_messages_refused_total 0.0",
        "consent_withdrawal_honour_seconds_count 0.0",
    ):
        assert line in lines


def test_the_series_of_an_integration_go_with_its_file_and_begin_anew() -> None:
    metrics = known("shop", "press")
    metrics.count("shop", "dead", "poison", 0.1)
    metrics.count("press", "dead", "poison", 0.1)
    metrics.know(["press", "late"])
    metrics.count("shop", "dead", "poison", 0.1)
    name = "consent_integration_outcomes_total"
    told = [one for one in scraped(metrics) if one.startswith(name) and '"dead"' in one]
    assert told == [
        f'{name}{{integration="none",outcome="dead"}} 1.0',
        f'{name}{{integration="press",outcome="dead"}} 1.0',
        f'{name}{{integration="late",outcome="dead"}} 0.0',
    ]
    metrics.know(["shop"])
    assert f'{name}{{integration="shop",outcome="dead"}} 0.0' in scraped(metrics)
    assert 'consent_outcomes_total{outcome="dead",reason="poison"} 3.0' in scraped(metrics)


def test_nothing_tells_when_a_series_was_created() -> None:
    assert not [one for one in scraped(known("shop")) if "_created" in one]


def test_the_process_and_its_garbage_collector_are_told_of() -> None:
    text = "\n".join(scraped(known()))
    assert "process_resident_memory_bytes" in text
    assert "process_start_time_seconds" in text
    assert "python_gc_collections_total" in text


def _accepted(enabled: Iterable[bool]) -> list[Delivery]:
    target = integration()
    choices = []
    for one in enabled:
        consents = {"purposes": [{"id": "news", "enabled": one}]}
        decision = decide(target, envelope(consents=consents), NOW_MS)
        assert isinstance(decision, Deliver)
        choices.append(decision)
    message = cast(Incoming, None)
    return [Delivery(message, RetryState(), target, one, "user") for one in choices]


def test_the_lag_of_choices_is_told_by_their_kind_and_that_of_withdrawals_by_itself() -> None:
    metrics = known("shop")
    accepted = _accepted([True, False, False])
    made_at = accepted[0].choice.event_time_ms / 1000
    metrics.acceptance.count(accepted, made_at + 40)
    lines = scraped(metrics)
    assert 'consent_choice_lag_seconds_bucket{kind="given",le="30.0"} 0.0' in lines
    assert 'consent_choice_lag_seconds_bucket{kind="given",le="60.0"} 1.0' in lines
    assert 'consent_choice_lag_seconds_sum{kind="withdrawn"} 80.0' in lines
    assert 'consent_choice_lag_seconds_count{kind="other"} 0.0' in lines
    assert 'consent_withdrawal_honour_seconds_bucket{le="30.0"} 0.0' in lines
    assert 'consent_withdrawal_honour_seconds_bucket{le="60.0"} 2.0' in lines
    assert "consent_withdrawal_honour_seconds_count 2.0" in lines


def test_a_choice_of_a_fast_clock_has_no_negative_lag() -> None:
    metrics = known("shop")
    accepted = _accepted([True])
    metrics.acceptance.count(accepted, accepted[0].choice.event_time_ms / 1000 - 200)
    assert 'consent_choice_lag_seconds_sum{kind="given"} 0.0' in scraped(metrics)


def test_attempts_are_counted_with_the_one_that_succeeded() -> None:
    metrics = known("shop")
    metrics.acceptance.count(_accepted([True]), 0)
    (retried,) = _accepted([True])
    retried.state = RetryState(attempts_made=2)
    metrics.acceptance.count([retried], 0)
    lines = scraped(metrics)
    assert 'consent_delivery_attempts_bucket{le="1.0"} 1.0' in lines
    assert 'consent_delivery_attempts_bucket{le="2.0"} 1.0' in lines
    assert 'consent_delivery_attempts_bucket{le="3.0"} 2.0' in lines

"""What is counted, and under which names it is scraped."""

from __future__ import annotations

import pytest
from prometheus_client import generate_latest

from worker.delivery.outcome import Dead, Failure, Outcome, Parked, Retried, Skipped
from worker.observability.metrics import Metrics, describe
from worker.reasons import DeadReason, ErrorCode, ParkReason, SkipReason


@pytest.mark.parametrize(
    ("integration", "outcome", "labels"),
    [
        pytest.param(
            "",
            Skipped(SkipReason.NO_INTEGRATION),
            'integration="none",outcome="skipped",reason="no-integration"',
            id="skipped",
        ),
        pytest.param(
            "shop",
            Retried(5.0, Failure(ErrorCode.TIMEOUT, "no answer")),
            'integration="shop",outcome="retried",reason="timeout"',
            id="retried",
        ),
        pytest.param(
            "shop",
            Parked(5.0, ParkReason.LANE_FULL),
            'integration="shop",outcome="parked",reason="lane-full"',
            id="parked",
        ),
        pytest.param(
            "shop",
            Dead(DeadReason.RETRIES_EXHAUSTED, Failure(ErrorCode.TIMEOUT, "no answer")),
            'integration="shop",outcome="dead",reason="retries-exhausted"',
            id="dead",
        ),
    ],
)
def test_an_outcome_is_counted_and_timed(integration: str, outcome: Outcome, labels: str) -> None:
    metrics = Metrics()
    for _ in range(2):
        metrics.count(integration, *describe(outcome), 0.2)
    text = generate_latest(metrics.registry).decode()
    assert f"consent_outcomes_total{{{labels}}} 2.0" in text
    assert 'consent_delivery_seconds_bucket{le="0.1",outcome=' in text
    assert "consent_delivery_seconds_count{" in text
    assert "no answer" not in text


def test_what_was_accepted_in_one_request_is_counted_and_timed_one_by_one() -> None:
    metrics = Metrics()
    metrics.count_delivered("shop", [0.01, 0.2])
    metrics.count_delivered("shop", [0.3])
    text = generate_latest(metrics.registry).decode()
    labels = 'integration="shop",outcome="delivered",reason=""'
    assert f"consent_outcomes_total{{{labels}}} 3.0" in text
    assert 'consent_delivery_seconds_bucket{le="0.05",outcome="delivered"} 1.0' in text
    assert 'consent_delivery_seconds_count{outcome="delivered"} 3.0' in text

"""One line in the log for every outcome, with what an operator needs to act on it."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from tests.unit.examples import NOW_MS, envelope, integration
from worker.adobe.replies import Accepted
from worker.broker.message import Incoming
from worker.broker.retry_state import RetryState
from worker.delivery.delivery import Delivery
from worker.delivery.outcome import Dead, Failure, Outcome, Parked, Retried, Skipped
from worker.observability.metrics import Metrics
from worker.observability.outcome_log import OutcomeLog
from worker.reasons import DeadReason, ErrorCode, ParkReason, SkipReason
from worker.transform.decide import decide
from worker.transform.decision_types import Deliver


@pytest.fixture
def verbose() -> None:
    """The level of logging at which every event is told."""
    logging.getLogger().setLevel(logging.DEBUG)


def _delivery(event_id: str) -> Delivery:
    target = integration()
    decision = decide(target, envelope(id=event_id), NOW_MS)
    assert isinstance(decision, Deliver)
    return Delivery(cast(Incoming, None), RetryState(), target, decision, "user")


FAILURE = Failure(ErrorCode.ADOBE_UNAVAILABLE, "HTTP 503", 503)


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        pytest.param(
            Skipped(SkipReason.GUEST),
            {"event": "delivery.skipped", "log_level": "debug", "reason": "guest"},
            id="skipped",
        ),
        pytest.param(
            Parked(4.98765, ParkReason.LANE_FULL),
            {
                "event": "delivery.parked",
                "log_level": "debug",
                "reason": "lane-full",
                "delay_seconds": 4.988,
            },
            id="parked",
        ),
        pytest.param(
            Retried(4.98765, FAILURE),
            {
                "event": "delivery.retried",
                "log_level": "warning",
                "reason": "adobe-unavailable",
                "delay_seconds": 4.988,
                "detail": "HTTP 503",
            },
            id="retried",
        ),
        pytest.param(
            Dead(DeadReason.RETRIES_EXHAUSTED, FAILURE),
            {
                "event": "delivery.dead",
                "log_level": "error",
                "reason": "retries-exhausted",
                "error": "adobe-unavailable",
                "detail": "HTTP 503",
            },
            id="dead",
        ),
    ],
)
@pytest.mark.parametrize(
    ("integration", "named"), [("shop", "shop"), ("", "none"), ("49170555016", "none")]
)
@pytest.mark.parametrize(
    ("event_id", "shown"),
    [("0d5c-ev_1", "0d5c-ev_1"), ("lena@b.example", None), ("lena_lindqvist", None), ("", None)],
)
def test_an_outcome_is_one_line(
    verbose: None,
    outcome: Outcome,
    line: dict[str, Any],
    integration: str,
    named: str,
    event_id: str,
    shown: str | None,
) -> None:
    with capture_logs() as lines:
        told = OutcomeLog(Metrics(), {"shop"}.__contains__)
        told.outcome(integration, outcome, 0.123456, event_id)
    assert lines == [line | {"integration": named, "event_id": shown, "seconds": 0.1235}]


def test_a_request_is_one_line_and_its_events_are_told_to_who_wants_to_know(
    verbose: None,
) -> None:
    accepted = [(_delivery(f"ev-{at}"), Accepted(f"1:2:{at}")) for at in range(2)]
    with capture_logs() as lines:
        OutcomeLog(Metrics(), {"shop"}.__contains__).delivered("shop", accepted)
    request, *events = lines
    assert request["event"] == "request.accepted"
    assert (request["log_level"], request["events"]) == ("info", 2)
    assert [(one["event"], one["event_id"], one["xaction_id"]) for one in events] == [
        ("delivery.delivered", "ev-0", "1:2:0"),
        ("delivery.delivered", "ev-1", "1:2:1"),
    ]


def test_by_default_only_requests_and_trouble_are_logged() -> None:
    told = OutcomeLog(Metrics(), {"shop"}.__contains__)
    with capture_logs() as lines:
        told.delivered("shop", [(_delivery("ev-1"), Accepted("1:2:3"))])
        told.outcome("shop", Skipped(SkipReason.GUEST), 0.1, "ev-2")
        told.outcome("shop", Parked(1.0, ParkReason.BUSY), 0.1, "ev-3")
        told.outcome("shop", Retried(1.0, FAILURE), 0.1, "ev-4")
    assert [one["event"] for one in lines] == ["request.accepted", "delivery.retried"]


def test_a_pause_names_what_to_do_and_its_end_is_told() -> None:
    told = OutcomeLog(Metrics(), {"shop"}.__contains__)
    with capture_logs() as lines:
        told.blocked("shop", Failure(ErrorCode.TOKEN_REFUSED, "invalid_client"))
        told.unblocked("shop")
    paused, resumed = lines
    assert (paused["event"], paused["log_level"]) == ("integration.blocked", "error")
    assert (paused["error"], paused["detail"]) == ("token-refused", "invalid_client")
    assert "configuration" in paused["remedy"]
    assert resumed["event"] == "integration.unblocked"


def test_a_repeat_is_counted_and_told_beside_the_outcomes() -> None:
    metrics = Metrics()
    told = OutcomeLog(metrics, {"shop"}.__contains__)
    with capture_logs() as lines:
        told.repeat_planned("shop", "ev-1", 119.00049)
        told.repeat_ended("shop", "lena@b.example", SkipReason.SUPERSEDED, 0.123456)
    shared = {"log_level": "info", "integration": "shop"}
    assert lines == [
        shared | {"event": "repeat.planned", "event_id": "ev-1", "delay_seconds": 119.0},
        shared
        | {"event": "repeat.ended", "event_id": None, "result": "superseded", "seconds": 0.1235},
    ]
    for result in ("planned", "superseded"):
        labels = {"result": result}
        assert metrics.registry.get_sample_value("consent_repeats_total", labels) == 1
    (outcomes,) = [one for one in metrics.registry.collect() if one.name == "consent_outcomes"]
    assert {one.value for one in outcomes.samples} == {0}

"""What goes to the delay says when it is due, and how late it comes back is told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.delivery.parts import GATHERED_SECONDS, Store
from tests.unit.delivery.pipeline_parts import NOON, Adobe, Worker, body
from tests.unit.delivery.virtual_time import after, in_virtual_time
from tests.unit.examples import integration
from worker.adobe.replies import Accepted, Retryable
from worker.reasons import ErrorCode

AWAY = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "HTTP 503", 503)
PAUSED = integration(paused=True)
DUE = "consent-due-at"


def _come_back(worker: Worker, queue: str, **headers: Any) -> None:
    """What was published last is handed out by `queue`."""
    worker.hand.queue = queue
    latest = worker.latest
    worker.pipeline.handle(worker.hand.message(latest.body, latest.headers | headers))


async def _retry() -> Worker:
    """A worker that has just published a retry, due in five seconds."""
    adobe = Adobe()
    adobe.reply = AWAY
    worker = Worker(adobe, Store())
    await worker.take(body("e1"))
    assert worker.told == ["retried"]
    adobe.reply = Accepted("x")
    return worker


@in_virtual_time
async def test_a_retry_that_comes_back_late_is_told_by_how_much() -> None:
    worker = await _retry()
    assert worker.latest.headers[DUE] == pytest.approx((NOON + 5) * 1000, abs=50)
    await after(5 + 180)
    _come_back(worker, "consent.retries")
    [(kind, late_seconds)] = worker.lateness
    assert kind == "retry"
    assert late_seconds == pytest.approx(180, abs=0.1)


@pytest.mark.parametrize("events", [1, 3], ids=["alone", "a bundle"])
@in_virtual_time
async def test_what_was_parked_is_told_once_for_a_message(events: int) -> None:
    worker = Worker(Adobe(), Store(), shop=PAUSED)
    for number in range(events):
        await worker.take(body(f"e{number}", user=f"u{number}"))
    await after(GATHERED_SECONDS)
    assert len(worker.hand.host.published) == 1
    assert worker.latest.headers[DUE] == pytest.approx((NOON + 4) * 1000, abs=300)
    await after(4 + 60)
    _come_back(worker, "consent.parked")
    await after(GATHERED_SECONDS)
    [(kind, late_seconds)] = worker.lateness
    assert kind == "parked"
    assert late_seconds == pytest.approx(60, abs=0.2)
    # Parked again, opened or not, it has a due time of its own.
    assert worker.latest.headers[DUE] == pytest.approx((NOON + 64 + 8) * 1000, abs=500)
    assert len(worker.hand.host.published) == 2


@in_virtual_time
async def test_what_is_returned_is_not_told_again() -> None:
    worker = await _retry()
    await after(20)
    _come_back(worker, "consent.retries", **{"x-delivery-count": 1})
    assert worker.lateness == []


@pytest.mark.parametrize("queue", ["consent.events", "consent.suspects"])
@in_virtual_time
async def test_a_header_of_a_stranger_counts_for_nothing(queue: str) -> None:
    worker = await _retry()
    _come_back(worker, queue)
    assert worker.lateness == []


@pytest.mark.parametrize("value", ["soon", -1, True, {"a": 1}, 10**15])
@in_virtual_time
async def test_a_value_that_is_none_of_ours_harms_no_event(value: Any) -> None:
    worker = await _retry()
    await after(5)
    _come_back(worker, "consent.retries", **{DUE: value})
    await after(1)
    assert worker.lateness == []
    assert worker.told == ["retried", "delivered"]


@in_virtual_time
async def test_a_dead_letter_is_not_due() -> None:
    worker = await _retry()
    _come_back(worker, "consent.retries", **{"consent-attempts": -1})
    await after(1)
    assert worker.latest.exchange == "consent.dead-letters"
    assert DUE not in worker.latest.headers

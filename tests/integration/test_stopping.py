"""A worker is told to stop while a request is under way whose events it has handed over."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from devtools.stack import Stack, event
from devtools.waiting import wait_until

SLOW_MS = 6_000
HANDED_OVER = {"RETRY_BUDGET_SECONDS": 100, "ATTEMPT_TIMEOUT_SECONDS": 10}
"""After a second without an answer; the copy is due when the attempt's time is over."""

pytestmark = pytest.mark.timeout(120)


def _told(stack: Stack, name: str) -> list[dict[str, Any]]:
    return [one for one in stack.log_entries() if one["event"] == name]


@asynccontextmanager
async def _handed_over(
    stack: Stack, **fault: Any
) -> AsyncIterator[tuple[Stack, subprocess.Popen[bytes]]]:
    """A stack whose worker has handed an event over, of which the emulator has the request."""
    async with stack:
        stack.add_integration("shop")
        stack.sandbox.state.inject(target="collection", key="shop", times=1, **fault)
        worker = stack.start_worker()
        await stack.wait_until_consuming()
        await stack.publish([json.dumps(event("org-shop", "lena@a.example")).encode()])
        await wait_until(lambda: _told(stack, "delivery.retried"), "the copy")
        await stack.wait_for_depth("events", 0)
        yield stack, worker


async def _delivered(stack: Stack) -> bool:
    text = (await stack.get("/metrics"))[1]
    return bool(re.search(r'consent_outcomes_total\{.*outcome="delivered".*\} 1', text))


async def test_it_ends_when_the_answer_is_there_and_the_copy_is_not_sent_again(
    broker_url: str, redis_url: str, namespace: str
) -> None:
    fleet = Stack(broker_url, namespace, STATE_URL=redis_url, **HANDED_OVER)
    async with _handed_over(fleet, kind="latency", latency_ms=SLOW_MS) as (stack, worker):
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 15) == 0
        assert _told(stack, "request.accepted_late"), "it has waited for the answer"
        stack.start_worker()
        await wait_until(lambda: len(_told(stack, "worker.started")) == 2, "the next worker")
        await wait_until(lambda: _delivered(stack), "the copy to end", 40)
        assert len(stack.messages("shop")) == 1


async def test_it_waits_no_longer_than_the_time_of_a_stop(broker_url: str, namespace: str) -> None:
    fleet = Stack(broker_url, namespace, SHUTDOWN_TIMEOUT_SECONDS=3, **HANDED_OVER)
    async with _handed_over(fleet, kind="hang") as (stack, worker):
        began = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 15) == 0
        assert 2.9 < time.monotonic() - began < 4.9
        assert not _told(stack, "request.accepted_late")


async def test_a_second_signal_gives_no_more_of_it(broker_url: str, namespace: str) -> None:
    async with Stack(broker_url, namespace, SHUTDOWN_TIMEOUT_SECONDS=5) as stack:
        stack.add_integration("shop")
        stack.sandbox.state.inject(target="collection", key="shop", kind="hang")
        worker = stack.start_worker()
        await stack.wait_until_consuming()
        await stack.publish([json.dumps(event("org-shop", "lena@a.example")).encode()])
        await wait_until(lambda: stack.messages("shop"), "the request")
        began = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        # The second one comes before the event is handed over, which is after three seconds.
        await wait_until(lambda: time.monotonic() - began > 2.5, "a while")
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 15) == 0
        assert _told(stack, "delivery.retried"), "it was handed over meanwhile"
        assert 4.9 < time.monotonic() - began < 6.9


async def test_what_is_in_hand_while_an_endpoint_hangs_is_given_back_at_once(
    broker_url: str, namespace: str
) -> None:
    """A consumer that is cancelled must not hold it while a node of RabbitMQ may die."""
    async with Stack(broker_url, namespace, LOG_LEVEL="debug") as stack:
        stack.add_integration("shop", limits={"requests_in_flight": 1, "messages_per_request": 5})
        stack.sandbox.state.inject(target="collection", key="shop", kind="hang")
        worker = stack.start_worker()
        await stack.wait_until_consuming()
        users = [f"u{number}@a.example" for number in range(20)]
        await stack.publish([json.dumps(event("org-shop", one)).encode() for one in users])
        await wait_until(lambda: stack.messages("shop"), "the request")
        began = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        given_back = ("delivery.retried", "delivery.parked")
        await wait_until(
            lambda: sum(len(_told(stack, one)) for one in given_back) == 20, "all to be given back"
        )
        # Long before an endpoint that hangs is given up, which is after three seconds.
        assert time.monotonic() - began < 2.5
        assert {one["reason"] for one in _told(stack, "delivery.parked")} == {"stopping"}
        worker.kill()
        stack.sandbox.state.clear_faults()
        stack.start_worker()
        await wait_until(lambda: stack.delivered("shop") == set(users), "all of them at Adobe", 60)

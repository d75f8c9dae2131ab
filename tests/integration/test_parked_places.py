"""What one customer's failing endpoint parks keeps no other customer's parked events waiting."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from devtools.stack import Stack, event
from devtools.waiting import wait_until

EVENTS = 1_200
CALM = [f"c{i}@a.example" for i in range(5)]


@pytest.mark.timeout(240)
async def test_events_of_a_resumed_customer_come_back_while_another_one_fails(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace, LOG_LEVEL="debug") as stack:
        stack.add_integration("bad", limits={"messages_per_request": 1})
        stack.add_integration("calm", paused=True)
        stack.sandbox.state.inject(target="collection", key="bad", kind="status", status=503)
        stack.start_worker()
        await stack.wait_until_consuming()
        for number in range(EVENTS):  # apart, so that small bundles are parked
            await stack.publish([json.dumps(event("org-bad", f"b{number}@a.example")).encode()])
            await asyncio.sleep(0.01)
        await stack.publish([json.dumps(event("org-calm", one)).encode() for one in CALM])
        await wait_until(
            lambda: _events(stack, "calm", "delivery.parked") >= len(CALM), "parked by the pause"
        )
        stack.add_integration("calm")
        resumed = time.monotonic()
        await wait_until(
            lambda: {one for _, one in stack.sandbox.state.profiles} >= set(CALM),
            "what was parked is delivered",
            timeout=45,
        )
        assert time.monotonic() - resumed < 40, "a pause of seconds, and a moment"


def _events(stack: Stack, integration: str, name: str) -> int:
    return sum(
        one["event"] == name and one.get("integration") == integration
        for one in stack.log_entries()
    )

"""How late what was delayed comes back, through a real delay and as a scrape shows it."""

from __future__ import annotations

import json
import re
import time

import aio_pika
from aio_pika.abc import HeadersType

from devtools.stack import Stack, event
from devtools.waiting import wait_until


async def _lateness(stack: Stack, kind: str) -> tuple[int, float]:
    """How many came back, and by how many seconds too late in all."""
    text = (await stack.get("/metrics"))[1]
    count, total = (
        re.search(rf'consent_lateness_seconds_{part}{{kind="{kind}"}} (\S+)', text)
        for part in ("count", "sum")
    )
    return (int(float(count[1])), float(total[1])) if count and total else (0, 0.0)


async def test_retries_and_parked_events_are_measured(broker_url: str, namespace: str) -> None:
    async with Stack(broker_url, namespace, RETRY_BUDGET_SECONDS=30) as stack:
        stack.add_integration("shop")
        stack.sandbox.state.faults.inject(target="collection", kind="status", status=503, times=1)
        stack.start_worker()
        await stack.wait_until_consuming(60)
        document = event("org-shop", "lena@a.example")
        await stack.publish([json.dumps(document).encode()])
        await wait_until(lambda: stack.delivered("shop"), "the retry", 60)
        count, in_time = await _lateness(stack, "retry")
        assert count == 1
        # One that a node's death has held back by three minutes.
        headers: HeadersType = {
            "consent-integration": "shop",
            "consent-attempts": 1,
            "consent-first-attempt-at": int(time.time() * 1000) - 190_000,
            "consent-elapsed": 190_000,
            "consent-due-at": int(time.time() * 1000) - 180_000,
        }
        async with await aio_pika.connect(stack.amqp_url) as connection:
            channel = await connection.channel(publisher_confirms=True)
            late = event("org-shop", "ole@a.example")
            message = aio_pika.Message(json.dumps(late).encode(), headers=headers)
            await channel.default_exchange.publish(message, f"{namespace}.retries")
        await wait_until(lambda: "ole@a.example" in stack.delivered("shop"), "the late one", 60)
        count, total = await _lateness(stack, "retry")
        assert count == 2
        assert 180 <= total - in_time < 240
        assert await _lateness(stack, "parked") == (0, 0.0)
        stack.add_integration("shop", paused=True)
        await wait_until(lambda: "integration.switched" in stack.log_text(), "the pause")
        await stack.publish([json.dumps(event("org-shop", "kim@a.example")).encode()])
        await wait_until(lambda: _has_come_back(stack), "the parked event", 60)


async def _has_come_back(stack: Stack) -> bool:
    return (await _lateness(stack, "parked"))[0] >= 1

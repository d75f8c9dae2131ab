"""What waited for a customer's endpoint, or a person, is delivered soon after it is well."""

from __future__ import annotations

import asyncio
import json
import time

import aio_pika
import pytest

from devtools.stack import Stack, event
from devtools.waiting import wait_until

WAITING = 2000
HANGS_SECONDS = 6
AT_MOST_SECONDS = 20


@pytest.mark.timeout(180)
async def test_two_thousand_that_were_replayed_into_a_hang_are_delivered_soon_after_it(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace) as stack:
        stack.add_integration("shop")
        hang = stack.sandbox.state.inject(target="collection", key="shop", kind="hang")
        stack.start_worker()
        await stack.wait_until_consuming()
        began = time.monotonic()
        users = {f"u{number}@a.example" for number in range(WAITING)}
        await _replay(stack, [json.dumps(event("org-shop", one)).encode() for one in users])
        # The time that the endpoint hangs is the case itself.
        await asyncio.sleep(HANGS_SECONDS - min(HANGS_SECONDS, time.monotonic() - began))
        stack.sandbox.state.faults.clear(hang.id)
        await wait_until(
            lambda: stack.delivered("shop") == users, "all that waited", AT_MOST_SECONDS
        )


@pytest.mark.timeout(180)
async def test_a_paused_customer_is_parked_in_bundles_and_delivered_when_taken_back(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace) as stack:
        stack.add_integration("shop", paused=True)
        stack.add_integration("other")
        stack.start_worker()
        await stack.wait_until_consuming()
        users = {f"u{number}@a.example" for number in range(1000)}
        await stack.publish([json.dumps(event("org-shop", one)).encode() for one in users])
        await stack.publish([json.dumps(event("org-other", "o@a.example")).encode()])
        await wait_until(lambda: stack.delivered("other"), "the other customer")
        await stack.wait_for_depth("events", 0)
        assert stack.delivered("shop") == set()
        stack.add_integration("shop")
        await wait_until(lambda: stack.delivered("shop") == users, "all of them", 60)
        assert await stack.depth("dead-letters") == 0


async def _replay(stack: Stack, bodies: list[bytes]) -> None:
    """Publish as `dead-letters replay` does."""
    connection = await aio_pika.connect(stack.amqp_url)
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        headers: aio_pika.abc.HeadersType = {"consent-integration": "shop"}
        await asyncio.gather(
            *(
                channel.default_exchange.publish(
                    aio_pika.Message(body, delivery_mode=2, headers=headers),
                    f"{stack.namespace}.retries",
                )
                for body in bodies
            )
        )

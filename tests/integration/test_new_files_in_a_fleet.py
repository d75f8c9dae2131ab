"""The file of a new integration reaches the workers of a fleet one after the other."""

from __future__ import annotations

import json
import shutil

import redis.asyncio

from devtools.stack import Stack, event
from devtools.waiting import wait_until

USERS = [f"u{number}@a.example" for number in range(100)]


def _bodies() -> list[bytes]:
    return [json.dumps(event("org-new", user)).encode() for user in USERS]


async def test_a_worker_without_the_file_passes_over_no_event_of_a_customer_that_another_has(
    broker_url: str, namespace: str, redis_url: str
) -> None:
    async with Stack(broker_url, namespace, STATE_URL=redis_url) as stack:
        stack.add_integration("old")
        behind = stack.path / "behind"
        shutil.copytree(stack.integrations, behind)
        stack.start_worker()
        stack.override("INTEGRATIONS", behind)
        stack.start_worker()
        await wait_until(lambda: stack.log_text().count("broker.connected") == 2, "both workers")
        stack.add_integration("new")
        await wait_until(lambda: '"loaded":["new"]' in stack.log_text(), "one worker to have it")
        async with redis.asyncio.Redis.from_url(redis_url) as store:

            async def is_told() -> bool:
                kept = await store.zrange(f"{namespace}:integrations", 0, -1)
                return any(b'"org-new"' in one for one in kept)

            await wait_until(is_told, "the fleet to know of it")
        await stack.publish(_bodies())
        await stack.wait_for_depth("events", 0)
        shutil.copy(stack.integrations / "new.json", behind)
        await wait_until(lambda: stack.delivered("new") == set(USERS), "all events", 40)
        assert await stack.depth("dead-letters") == 0


async def test_what_no_worker_has_an_integration_for_is_passed_over(
    broker_url: str, namespace: str, redis_url: str
) -> None:
    async with Stack(broker_url, namespace, STATE_URL=redis_url, LOG_LEVEL="debug") as stack:
        stack.add_integration("old")
        stack.start_worker()
        await stack.wait_until_consuming()
        await stack.publish(_bodies())
        await wait_until(lambda: stack.log_text().count("no-integration") >= len(USERS), "the ends")
        assert await stack.depth("events") == 0
        await stack.publish([json.dumps(event("org-old", "lena@a.example")).encode()])
        await wait_until(lambda: stack.delivered("old"), "the other customer")

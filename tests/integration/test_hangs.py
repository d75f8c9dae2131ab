"""A customer's endpoint hangs for longer than the retry budget.

`CONSENT_WORKER_TEST_RETRY_BUDGET=300` runs this with the budget of production.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict

import pytest

from devtools.stack import Stack, event
from devtools.waiting import wait_until

BUDGET = float(os.environ.get("CONSENT_WORKER_TEST_RETRY_BUDGET", "30"))
EVENTS = 300

pytestmark = pytest.mark.timeout(BUDGET * 3 + 90)


def _seen(stack: Stack) -> dict[str, list[float]]:
    """Seconds at which the emulator saw each user of the shop that hangs."""
    seen: dict[str, list[float]] = defaultdict(list)
    for request in stack.sandbox.state.requests:
        if request["inlet"] == "shop":
            for message in request["body"].get("messages", [request["body"]]):
                user = message["body"]["personalEmail"]["address"]
                seen[user].append(request["received_at"] / 1000)
    return seen


async def test_through_a_hang_what_is_begun_is_tried_and_dead_and_the_rest_is_delivered_after(
    broker_url: str, namespace: str
) -> None:
    attempt = BUDGET / 10
    async with Stack(
        broker_url, namespace, RETRY_BUDGET_SECONDS=BUDGET, ATTEMPT_TIMEOUT_SECONDS=attempt
    ) as stack:
        stack.add_integration("shop")
        stack.add_integration("other")
        stack.sandbox.state.inject(target="collection", key="shop", kind="hang")
        stack.start_worker()
        await stack.wait_until_consuming()
        began = time.monotonic()
        users = [f"u{n}@a.example" for n in range(EVENTS)]
        await stack.publish([json.dumps(event("org-shop", one)).encode() for one in users])
        others = [f"v{n}@a.example" for n in range(50)]
        await stack.publish([json.dumps(event("org-other", one)).encode() for one in others])
        await wait_until(lambda: stack.delivered("other") == set(others), "the healthy ones")
        await wait_until(lambda: time.monotonic() - began > BUDGET * 4 / 3, "the hang", BUDGET * 2)
        letters = await stack.depth("dead-letters")
        seen = _seen(stack)
        due = {user for user, at in seen.items() if time.time() - at[0] > BUDGET * 1.2}
        assert len(due) >= 1
        for user in due:
            in_time = [one for one in seen[user] if one - seen[user][0] <= BUDGET]
            assert len(in_time) >= 6, [round(one - seen[user][0], 1) for one in seen[user]]
        assert letters >= len(due)
        stack.sandbox.state.clear_faults()

        async def all_settled() -> bool:
            dead = await stack.depth("dead-letters")
            return dead + len(stack.delivered("shop")) >= EVENTS

        await wait_until(all_settled, "an outcome of each", BUDGET + 60)
        code, out, _ = await stack.command("dead-letters", "replay", "--integration", "shop")
        assert code == 0, out
        await wait_until(lambda: stack.delivered("shop") == set(users), "the replayed ones", 60)

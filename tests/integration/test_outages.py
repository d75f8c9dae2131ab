"""Adobe is away: for less than the retry budget, and for longer.

`CONSENT_WORKER_TEST_RETRY_BUDGET=300` runs these with the budget of production. The plugin's kind
of delay runs where `CONSENT_WORKER_TEST_AMQP_URL` points at a broker that has the plugin.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Callable

import pytest

from devtools.broker import PLUGIN_BROKER_VARIABLE
from devtools.stack import Stack, event
from devtools.waiting import wait_until

BUDGET = float(os.environ.get("CONSENT_WORKER_TEST_RETRY_BUDGET", "10"))
USERS = [f"u{i}@a.example" for i in range(9)]

pytestmark = pytest.mark.timeout(BUDGET * 4 + 60)


@pytest.fixture(params=["native", "plugin"])
async def stack(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Stack]:
    """One worker, Adobe away, and a message for each user published."""
    if request.param == "native":
        url: str = request.getfixturevalue("broker_url")
    else:
        url = os.environ.get(PLUGIN_BROKER_VARIABLE, "")
        if not url:
            pytest.skip(f"{PLUGIN_BROKER_VARIABLE} names no broker with the delayed-message plugin")
    async with Stack(url, namespace, RETRY_BUDGET_SECONDS=BUDGET, DELAY=request.param) as running:
        running.add_integration("shop")
        running.sandbox.state.inject(target="collection", kind="status", status=503)
        running.start_worker()
        await running.wait_until_consuming()
        await running.publish([json.dumps(event("org-shop", one)).encode() for one in USERS])
        yield running


def _attempts(stack: Stack) -> dict[str, list[float]]:
    """Seconds from a user's first attempt to each one, by user."""
    times: dict[str, list[float]] = defaultdict(list)
    for request in stack.sandbox.state.requests:
        if request["inlet"] == "shop":
            for message in request["body"].get("messages", [request["body"]]):
                user = message["body"]["personalEmail"]["address"]
                times[user].append(request["received_at"] / 1000)
    return {user: [round(t - all_of[0], 2) for t in all_of] for user, all_of in times.items()}


async def test_an_outage_within_the_budget_ends_with_everything_delivered(
    stack: Stack, record_property: Callable[[str, object], None]
) -> None:
    await wait_until(
        lambda: [len(times) >= 4 for times in _attempts(stack).values()] == [True] * len(USERS),
        "four attempts of each",
        BUDGET,
    )
    stack.sandbox.state.clear_faults()
    await wait_until(lambda: stack.delivered("shop") == set(USERS), "all profiles", BUDGET)
    assert await stack.depth("dead-letters") == 0
    record_property("attempts", _attempts(stack))


async def test_an_outage_beyond_the_budget_dead_letters_and_replay_delivers(
    stack: Stack, record_property: Callable[[str, object], None]
) -> None:
    await stack.wait_for_depth("dead-letters", len(USERS), BUDGET * 2)
    for times in _attempts(stack).values():
        assert len(times) - 1 >= 5, "at least five retries"
        # Begun within the budget, and at Adobe a moment later.
        assert times[-1] <= BUDGET + 0.5, "none past the budget"
    record_property("attempts", _attempts(stack))
    code, out, err = await stack.command("dead-letters", "list", "--json")
    assert code == 0, err
    letters = json.loads(out)
    causes = {(one["reason"], one["error"], one["http_status"]) for one in letters}
    assert causes == {("retries-exhausted", "adobe-unavailable", 503)}
    stack.sandbox.state.clear_faults()
    code, out, _ = await stack.command("dead-letters", "replay", "--integration", "shop")
    assert (code, out) == (0, f"replayed {len(USERS)}\n")
    await wait_until(lambda: stack.delivered("shop") == set(USERS), "the replayed ones")
    assert await stack.depth("dead-letters") == 0

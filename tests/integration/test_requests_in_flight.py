"""A customer never has more requests at Adobe than its limit, look-ups and sends together."""

from __future__ import annotations

import json
from collections.abc import Iterable

from devtools.stack import Stack, event
from devtools.waiting import wait_until
from worker.sandbox.emulator_state import Profile


def _add(stack: Stack, name: str, requests_in_flight: int) -> None:
    stack.add_integration(
        name,
        upsert_mode=False,
        properties={"organization_id": f"{name}@AdobeOrg"},
        limits={"requests_in_flight": requests_in_flight, "messages_per_request": 10},
    )


async def _publish(stack: Stack, name: str, users: Iterable[str]) -> None:
    """Of users that Adobe knows."""
    users = list(users)
    for user in users:
        record = {"personalEmail": {"address": user}}
        stack.sandbox.state.profiles[("known", user)] = Profile("known", user, record)
    await stack.publish([json.dumps(event(f"org-{name}", user)).encode() for user in users])


def _users(kind: str, count: int) -> set[str]:
    return {f"{kind}{number}@a.example" for number in range(count)}


async def test_look_ups_and_sends_together_keep_the_limit(broker_url: str, namespace: str) -> None:
    """Of "shop" a send hangs while many look-ups wait; "other" goes its way meanwhile."""
    async with Stack(broker_url, namespace) as stack:
        state = stack.sandbox.state
        for name in ("shop", "other"):
            _add(stack, name, 3)
        stack.start_worker()
        await stack.wait_until_consuming()
        send = state.inject(target="collection", key="shop", kind="hang", times=1)
        await _publish(stack, "shop", {"first@a.example"})
        await wait_until(lambda: stack.messages("shop"), "a send that hangs")
        look_ups = state.inject(target="lookup", key="shop@AdobeOrg", kind="hang")
        shop, others = _users("s", 40), _users("o", 40)
        await _publish(stack, "shop", shop)
        await wait_until(lambda: state.under_way["shop@AdobeOrg"] >= 3, "all that may be")
        state.inject(target="lookup", key="other@AdobeOrg", kind="latency", latency_ms=20)
        await _publish(stack, "other", others)
        await wait_until(lambda: stack.delivered("other") == others, "the neighbour")
        state.faults.clear(look_ups.id)
        # With its send still hanging the rest has two at a time.
        await wait_until(lambda: stack.delivered("shop") == shop, "all but the first")
        state.faults.clear(send.id)
        await wait_until(lambda: "first@a.example" in stack.delivered("shop"), "the first")
        assert state.most_under_way["shop@AdobeOrg"] == 3
        assert state.most_under_way["other@AdobeOrg"] == 3, "and no fewer than it may have"


async def test_a_limit_that_changes_is_that_of_requests_under_way(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace) as stack:
        state = stack.sandbox.state
        organization = "shop@AdobeOrg"
        _add(stack, "shop", 4)
        stack.start_worker()
        await stack.wait_until_consuming()

        async def change(limit: int, times: int) -> None:
            _add(stack, "shop", limit)
            await wait_until(
                lambda: stack.log_text().count('"integrations.reloaded"') == times, "a reload"
            )

        state.inject(target="lookup", kind="hang")
        first = _users("a", 30)
        await _publish(stack, "shop", first)
        await wait_until(lambda: state.under_way[organization] == 4, "four look-ups")
        await change(2, 1)
        second = _users("b", 30)
        await _publish(stack, "shop", second)
        await stack.wait_for_depth("events", 0)
        state.clear_faults()
        await wait_until(lambda: stack.delivered("shop") == first | second, "all of them")
        assert state.most_under_way[organization] == 4, "those of before count in the new limit"

        state.most_under_way.clear()
        state.inject(target="lookup", kind="latency", latency_ms=20)
        state.inject(target="collection", kind="latency", latency_ms=20)
        third = _users("c", 40)
        await _publish(stack, "shop", third)
        await wait_until(lambda: third <= stack.delivered("shop"), "the third")
        assert state.most_under_way[organization] == 2

        await change(6, 2)
        state.clear_faults()
        state.inject(target="lookup", kind="latency", latency_ms=300)
        fourth = _users("d", 60)
        await _publish(stack, "shop", fourth)
        await wait_until(lambda: fourth <= stack.delivered("shop"), "the fourth")
        assert state.most_under_way[organization] == 6

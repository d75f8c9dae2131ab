"""What a worker tells of its integrations, of what it holds, and of Adobe."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from devtools.stack import Stack, event
from devtools.waiting import wait_until

HOUR: float = 3600


@pytest.fixture
async def stack(broker_url: str, namespace: str) -> AsyncIterator[Stack]:
    async with Stack(broker_url, namespace, INTEGRATION_GRACE_SECONDS=0.2) as running:
        running.add_integration("shop")
        yield running


async def _told(stack: Stack) -> dict[str, float]:
    """The value of each series."""
    lines = (await stack.get("/metrics"))[1].splitlines()
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in lines
        if not line.startswith("#")
    }


async def test_the_age_of_a_withdrawal_is_told_while_it_is_held_and_when_it_is_honoured(
    stack: Stack,
) -> None:
    hang = stack.sandbox.state.faults.inject(target="collection", kind="hang")
    stack.start_worker()
    await stack.wait_until_consuming()
    told = await _told(stack)
    assert told["consent_oldest_event_seconds"] == 0
    assert told["consent_oldest_withdrawal_seconds"] == 0
    assert told["consent_ready"] == 1
    assert 'consent_token_expires_in_seconds{integration="shop"}' not in told

    async def oldest_is(name: str, at_least: float) -> bool:
        told = await _told(stack)
        return at_least <= told[f"consent_oldest_{name}_seconds"] < at_least + HOUR / 2

    given = (datetime.now(UTC) - timedelta(hours=3)).isoformat()
    withdrawn = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    bodies = [
        event("org-shop", "lena@a.example", created_at=given),
        event("org-shop", "ole@a.example", created_at=withdrawn, enabled=False),
    ]
    await stack.publish([json.dumps(one).encode() for one in bodies])

    async def both_are_held() -> bool:
        return await oldest_is("event", 3 * HOUR) and await oldest_is("withdrawal", HOUR)

    await wait_until(both_are_held, "the ages of what is held")
    stack.sandbox.state.faults.clear(hang.id)
    await wait_until(lambda: len(stack.delivered("shop")) == 2, "both to be accepted", 60)

    async def is_through() -> bool:
        return (await _told(stack))["consent_withdrawal_honour_seconds_count"] == 1

    await wait_until(is_through, "the withdrawal to be counted")
    told = await _told(stack)
    assert told['consent_withdrawal_honour_seconds_bucket{le="3600.0"}'] == 0
    assert told['consent_withdrawal_honour_seconds_bucket{le="14400.0"}'] == 1
    assert told['consent_choice_lag_seconds_count{kind="given"}'] == 1
    assert told["consent_oldest_withdrawal_seconds"] == 0
    assert 0 < told['consent_token_expires_in_seconds{integration="shop"}'] <= 86_400
    assert told['consent_adobe_replies_total{status_class="2xx"}'] >= 2, "a token and a request"


async def test_requests_without_a_reply_and_refused_ones_are_told_apart(stack: Stack) -> None:
    stack.sandbox.state.faults.inject(target="collection", kind="status", status=503, times=1)
    stack.sandbox.state.faults.inject(target="collection", kind="reset", times=1)
    stack.start_worker()
    await stack.wait_until_consuming()
    await stack.publish([json.dumps(event("org-shop", "lena@a.example")).encode()])

    async def is_through() -> bool:
        return (await _told(stack))["consent_delivery_attempts_count"] == 1

    await wait_until(is_through, "the event to be accepted", 60)
    told = await _told(stack)
    assert told['consent_adobe_replies_total{status_class="5xx"}'] == 1
    assert told['consent_adobe_replies_total{status_class="none"}'] >= 1
    # The reset of a line that was kept alive is no attempt of its own.
    assert told['consent_delivery_attempts_bucket{le="1.0"}'] == 0
    assert told['consent_delivery_attempts_bucket{le="3.0"}'] == 1


async def test_series_come_and_go_with_files(stack: Stack) -> None:
    stack.start_worker()
    await stack.wait_until_consuming()
    told = await _told(stack)
    dead = 'consent_integration_outcomes_total{{integration="{}",outcome="dead"}}'
    assert told[dead.format("shop")] == told[dead.format("none")] == 0
    assert dead.format("late") not in told

    def version(told: dict[str, float]) -> str:
        (found,) = re.findall(r"consent_configuration_info\{[^}]*\}", " ".join(told))
        return str(found)

    first = version(told)
    stack.add_integration("late")

    async def knows_late() -> bool:
        return dead.format("late") in await _told(stack)

    await wait_until(knows_late, "the series of a new file")
    told = await _told(stack)
    assert told[dead.format("late")] == 0
    for gauge, value in (("held_events", 0), ("requests_allowed", 4), ("blocked", 0)):
        assert told[f'consent_lane_{gauge}{{integration="late"}}'] == value
    assert version(told) != first
    (stack.integrations / "late.json").unlink()

    async def knows_it_no_more() -> bool:
        return dead.format("late") not in await _told(stack)

    await wait_until(knows_it_no_more, "the series to go")
    told = await _told(stack)
    assert version(told) == first
    assert 'consent_lane_held_events{integration="late"}' not in told

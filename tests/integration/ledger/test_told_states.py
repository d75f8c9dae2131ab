"""What a worker tells of what it has in hand, as `status` shows it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.stack import Stack, event
from devtools.waiting import wait_until


@pytest.fixture
async def stack(broker_url: str, namespace: str) -> AsyncIterator[Stack]:
    async with Stack(broker_url, namespace, RECEIPTS="on") as running:
        running.override("LEDGER_URL", f"sqlite://{running.path}/ledger.sqlite")
        running.add_integration("shop", limits={"requests_in_flight": 1})
        yield running


async def test_the_oldest_event_and_withdrawal_in_hand_and_since_when_a_lane_is_held_up(
    stack: Stack,
) -> None:
    began_ms = datetime.now(UTC).timestamp() * 1000
    hang = stack.sandbox.state.faults.inject(target="collection", kind="hang", times=1000)
    stack.start_worker()
    await stack.wait_until_consuming()
    await stack.publish([json.dumps(event("org-shop", "first@a.example")).encode()])
    # What hangs is soon handed over, and what comes after it waits in hand.
    await wait_until(lambda: hang.times != 1000, "a request that hangs")
    now = datetime.now(UTC).replace(microsecond=0)
    given, withdrawn = now - timedelta(hours=3), now - timedelta(hours=1)
    later = datetime.now(UTC) + timedelta(seconds=30)
    bodies = [
        event("org-shop", "lena@a.example", created_at=given.isoformat()),
        event("org-shop", "ole@a.example", created_at=withdrawn.isoformat(), enabled=False),
        event("org-shop", "pia@a.example", created_at=later.isoformat()),
    ]
    await stack.publish([json.dumps(one).encode() for one in bodies])
    document: dict[str, Any] = {}

    async def is_told() -> bool:
        code, out, err = await stack.command("ledger", "--once")
        assert code == 0, out + err
        _, out, _ = await stack.command("status", "--json")
        document.clear()
        document.update(json.loads(out))
        return document["oldest_event_at"] is not None

    await wait_until(is_told, "an event in hand", 60)
    assert document["oldest_event_at"] == given.timestamp() * 1000
    assert document["oldest_withdrawal_at"] == withdrawn.timestamp() * 1000

    async def is_held_up() -> bool:
        return await is_told() and bool(document["failing"])

    await wait_until(is_held_up, "a lane that does not do well", 60)
    (failing,) = document["failing"]
    assert failing["integration"] == "shop"
    assert began_ms <= failing["since"] <= document["at"]
    _, out, _ = await stack.command("status")
    assert "oldest withdrawal in hand: " in out
    assert f"integration shop is {failing['state']} at " in out
    stack.sandbox.state.faults.clear(hang.id)

    async def is_through() -> bool:
        await is_told()
        return document["oldest_event_at"] is None and not document["failing"]

    await wait_until(is_through, "nothing in hand", 90)
    assert document["oldest_withdrawal_at"] is None

"""What a worker tells of what it has in hand, as `status` shows it."""

from __future__ import annotations

import json
import sqlite3
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


async def test_what_is_parked_again_unopened_is_told_until_it_is_due(stack: Stack) -> None:
    stack.add_integration("shop", paused=True)
    stack.start_worker()
    await stack.wait_until_consuming()
    people = ("lena@a.example", "ole@a.example")
    await stack.publish([json.dumps(event("org-shop", one)).encode() for one in people])
    ledger = stack.path / "ledger.sqlite"

    async def read(query: str) -> list[int]:
        code, out, err = await stack.command("ledger", "--once")
        assert code == 0, out + err
        with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True) as file:
            return [number for (number,) in file.execute(query)]

    async def is_told() -> bool:
        return bool(await read("SELECT due_at FROM parked_again"))

    await wait_until(is_told, "a bundle that came back", 60)
    (until_ms,) = await read("SELECT MAX(due_at) FROM parked_again")
    assert until_ms > max(await read("SELECT due_at FROM lives")), "no receipt tells of it"
    assert await read("SELECT COUNT(*) FROM receipts") == [2]
    stack.add_integration("shop")

    async def are_delivered() -> bool:
        return await read("SELECT lives FROM balances WHERE lives <> 0") == [2]

    await wait_until(lambda: len(stack.delivered("shop")) == 2, "the events", 60)
    await wait_until(are_delivered, "their ends on record", 60)

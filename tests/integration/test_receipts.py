"""What workers write to the stream of the receipts, on a real broker: each outcome, once it is."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from devtools.stack import Stack, event
from devtools.waiting import wait_until
from tests.integration.receipts import bodies_in, metric, receipts_in
from worker.evidence.heading import read_message
from worker.evidence.receipt import Receipt

SECRET = "the-secret-of-the-receipts"


@pytest.fixture
async def stack(broker_url: str, redis_url: str, namespace: str) -> AsyncIterator[Stack]:
    settings = {"RECEIPTS": "on", "RECEIPTS_SECRET": SECRET, "STATE_URL": redis_url}
    async with Stack(broker_url, namespace, **settings) as running:
        running.add_integration("shop")
        yield running


def _body(event_id: str, user: str = "lena@a.example", **changes: Any) -> bytes:
    return json.dumps(event("org-shop", user, event_id=event_id, **changes)).encode()


async def _all_receipted(stack: Stack, count: int) -> list[Receipt]:
    """The receipts, once there are so many."""

    async def there() -> bool:
        return await metric(stack, "consent_receipts_total") >= count

    await wait_until(there, f"{count} receipts")
    return await receipts_in(stack)


async def test_each_outcome_has_a_receipt_that_says_what_became_of_it(stack: Stack) -> None:
    stack.add_integration("held", paused=True)
    stack.start_worker()
    await stack.wait_until_consuming()
    await stack.publish([_body("ev-1")])
    await wait_until(lambda: len(stack.delivered("shop")) == 1, "a delivery")
    await stack.publish([_body("ev-2", " "), _body("ev-3", "a@a.example", enabled=False)])
    await stack.publish([b"no json"])
    await stack.publish([json.dumps(event("org-held", "x@a.example", event_id="ev-4")).encode()])
    await stack.publish([json.dumps(event("org-none", "x@a.example", event_id="ev-5")).encode()])
    found = {(one.event, one.outcome): one for one in await _all_receipted(stack, 6)}
    given = found["ev-1", "delivered"]
    assert (given.integration, given.organization) == ("shop", "org-shop")
    assert (given.choice, given.attributes) == ("given", {"_acme.newsletter": True})
    assert (given.attempt, given.delivery, given.reason, given.due_at) == (1, 0, "", None)
    assert given.xaction
    assert len(given.config) == 12
    assert given.user is not None
    assert given.event_at is not None
    assert given.event_at <= given.at
    withdrawn = found["ev-3", "delivered"]
    assert (withdrawn.choice, withdrawn.attributes) == ("withdrawn", {"_acme.newsletter": False})
    assert withdrawn.user != given.user
    guest = found["ev-2", "skipped"]
    assert (guest.reason, guest.integration, guest.user) == ("guest", "shop", None)
    parked = found["ev-4", "parked"]
    assert (parked.reason, parked.integration) == ("paused", "held")
    assert parked.due_at is not None
    assert parked.due_at > parked.at
    none = found["ev-5", "skipped"]
    assert (none.reason, none.integration) == ("no-integration", "")
    (dead,) = (one for one in found.values() if one.outcome == "dead")
    assert dead.event.startswith("body:")
    assert dead.reason == "invalid-json"


async def test_a_retry_has_a_receipt_of_each_attempt_and_its_event_one_of_the_end(
    stack: Stack,
) -> None:
    stack.sandbox.state.faults.inject(target="collection", kind="status", status=503)
    stack.start_worker()
    await stack.wait_until_consuming()
    await stack.publish([_body("ev-1")])
    (retried,) = await _all_receipted(stack, 1)
    assert (retried.outcome, retried.reason, retried.status) == (
        "retried",
        "adobe-unavailable",
        503,
    )
    assert retried.due_at is not None
    assert 4_000 < retried.due_at - retried.at < 8_000
    stack.sandbox.state.faults.clear()
    _, delivered = await _all_receipted(stack, 2)
    assert (delivered.outcome, delivered.attempt) == ("delivered", 2)
    assert (delivered.event, delivered.updated_at) == (retried.event, retried.updated_at)
    assert delivered.user == retried.user


async def test_the_same_event_again_is_a_duplicate_and_a_replay_a_life_of_its_own(
    stack: Stack,
) -> None:
    stack.start_worker()
    await stack.wait_until_consuming()
    body = _body("ev-1")
    await stack.publish([body])
    await _all_receipted(stack, 1)
    await stack.publish([body])
    assert [(one.outcome, one.reason) for one in await _all_receipted(stack, 2)] == [
        ("delivered", ""),
        ("skipped", "duplicate"),
    ]
    await stack.publish([b"{}"])
    await stack.wait_for_depth("dead-letters", 1)
    assert (await stack.command("dead-letters", "replay"))[0] == 0
    lives = [one.delivery for one in await _all_receipted(stack, 4) if one.outcome == "dead"]
    assert lives == [0, 1]


async def test_nothing_personal_and_no_secret_is_in_the_stream(stack: Stack) -> None:
    stack.add_integration(
        "texts",
        mappings=[
            {"id": "_acme.newsletter", "value": "consents_purposes_newsletter_enabled"},
            {"id": "_acme.note", "value": "metadata_note"},
        ],
    )
    stack.start_worker()
    await stack.wait_until_consuming()
    planted = "planted.person@a.example"
    user: dict[str, Any] = {"id": "planted-device", "organization_user_id": planted}
    user["metadata"] = {"note": "planted-note"}
    events = [
        event("org-texts", planted, event_id=planted) | {"user": user},
        event("org-texts", planted, event_id="ev-2") | {"user": user},
        event("planted.person@a.example", planted, event_id="ev-3"),
        event("org-shop", planted, event_id="ev-4", status="planted-status"),
    ]
    await stack.publish([json.dumps(one).encode() for one in events])
    await stack.publish([b"planted, no json"])
    await stack.publish([b"{}"], headers={"consent-integration": "planted"})
    found = await _all_receipted(stack, 6)
    assert any(one.attributes.get("_acme.note", True) is None for one in found)
    stream = b"\n".join(await bodies_in(stack))
    for secret in (b"planted", b"a.example", SECRET.encode(), b"of-this-stack"):
        assert secret not in stream


async def test_a_clean_stop_ends_the_chain_and_counts_add_up(stack: Stack) -> None:
    worker = stack.start_worker()
    await stack.wait_until_consuming()
    await stack.publish([_body(f"ev-{number}", f"u{number}@a.example") for number in range(200)])
    await _all_receipted(stack, 200)
    states: list[dict[str, Any]] = []

    async def told() -> bool:
        states[:] = [
            json.loads(message.rows[0])
            for message in map(read_message, await bodies_in(stack))
            if message.heading.kind == "state"
        ]
        return bool(states) and states[-1]["taken"] == 200

    await wait_until(told, "a state")
    assert states[-1]["version"]
    assert all(one["taken"] == one["settled"] + one["in_hand"] + one["returned"] for one in states)
    assert [one["integration"] for one in states[-1]["lanes"]] == ["shop"]
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 20) == 0
    kinds = [read_message(body).heading.kind for body in await bodies_in(stack)]
    assert (kinds[0], kinds[-1]) == ("begin", "end")
    code, out, err = await stack.command("receipts", "verify")
    assert code == 0, out + err
    assert "no manipulations" in out
    code, out, _ = await stack.command("receipts", "tail", "--limit", "3", "--json")
    assert code == 0
    assert [one["outcome"] for one in json.loads(out)] == ["delivered"] * 3
    _, out, _ = await stack.command("receipts", "tail", "--event", "ev-7")
    assert "delivered" in out
    assert "ev-7" in out
    assert len(out.splitlines()) == 1


@pytest.mark.timeout(240)
async def test_every_event_of_killed_workers_has_a_receipt(stack: Stack) -> None:
    events = [_body(f"ev-{number}", f"u{number}@a.example") for number in range(1500)]
    worker = stack.start_worker()
    await stack.wait_until_consuming()
    await stack.publish(events[:500])
    for first in (500, 1000):
        await wait_until(partial(_has_delivered, stack, first - 400), "some deliveries", 60)
        worker.kill()
        worker.wait()
        worker = stack.start_worker()
        await stack.publish(events[first : first + 500])
    # One that was acknowledged without would never have its receipt.
    await wait_until(partial(_are_receipted, stack, 1500), "a receipt of each", 120)
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 30) == 0
    found = await receipts_in(stack)
    outcomes: dict[str, set[tuple[str, str]]] = {}
    for one in found:
        outcomes.setdefault(one.event, set()).add((one.outcome, one.reason))
    assert set(outcomes) == {f"ev-{number}" for number in range(1500)}
    # What a killed worker had sent waits until its hold on the user is over, and may fill the lane.
    waits = {("parked", "busy"), ("parked", "lane-full")}
    through = {("delivered", ""), ("skipped", "duplicate")} | waits
    assert [one for one in outcomes.values() if not one <= through] == []
    code, out, _ = await stack.command("receipts", "verify", "--json")
    assert code == 0, out
    report = json.loads(out)
    assert report["chains"] == 3
    codes = Counter(one["code"] for one in report["findings"])
    assert set(codes) <= {"ended-without-end"}


async def _are_receipted(stack: Stack, count: int) -> bool:
    return len({one.event for one in await receipts_in(stack)}) == count


def _has_delivered(stack: Stack, count: int) -> bool:
    return len(stack.delivered("shop")) > count


async def test_with_receipts_off_nothing_is_written(stack: Stack) -> None:
    stack.override("RECEIPTS", "off")
    stack.start_worker()
    await stack.wait_until_consuming()
    await stack.publish([_body("ev-1")])
    await wait_until(lambda: len(stack.delivered("shop")) == 1, "a delivery")
    assert await stack.depth("receipts") == -1
    assert "consent_receipts" not in (await stack.get("/metrics"))[1]
    code, _, err = await stack.command("receipts", "tail")
    assert code == 3
    assert "CONSENT_WORKER_RECEIPTS is off" in err

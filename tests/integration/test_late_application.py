"""Adobe carries out a request that was given up, after a newer choice was accepted."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
from typing import Any

import pytest

from devtools.broker import RunningBroker
from devtools.stack import Stack, event
from devtools.waiting import wait_until

UNCLEAR_SECONDS = 14
LATE_MS = 8000
SOON = {"UNCLEAR_SECONDS": UNCLEAR_SECONDS, "RETRY_BUDGET_SECONDS": 60}
"""An attempt may take six seconds, and the first retry comes after one."""

pytestmark = pytest.mark.timeout(180)

SHAPES: dict[str, dict[str, Any]] = {
    "single": {"limits": {"messages_per_request": 1}},
    "batch": {},
    "whole record": {"payload_mode": "xdm", "events": "user"},
}


def _body(shape: str, user: str, event_id: str, enabled: bool) -> bytes:
    document = event("org-shop", user, enabled=enabled, event_id=event_id)
    if shape != "whole record":
        return json.dumps(document).encode()
    entity = document | {
        "id": f"device of {user}",
        "organization_user_id": user,
        "updated_at": document["created_at"],
    }
    return json.dumps({"type": "user.updated", "parameters": {"new_entity": entity}}).encode()


def _values(stack: Stack, users: set[str] | None = None) -> set[bool]:
    """What the emulator has of these users, or of all."""
    return {
        one.record["_acme"]["newsletter"]
        for (_, user), one in stack.sandbox.state.profiles.items()
        if users is None or user in users
    }


def _sent(stack: Stack) -> set[str]:
    """Of whom the emulator has got a message."""
    bodies = [message["body"] for _, message in stack.messages("shop")]
    return {one.get("xdmEntity", one)["personalEmail"]["address"] for one in bodies}


def _told(stack: Stack, name: str) -> list[dict[str, Any]]:
    return [one for one in stack.log_entries() if one["event"] == name]


async def _counted(stack: Stack) -> dict[str, int]:
    """The repeats by result."""
    text = (await stack.get("/metrics"))[1]
    found = re.findall(r'consent_repeats_total\{result="([a-z-]+)"\} ([1-9]\d*)', text)
    return {result: int(count) for result, count in found}


async def _accepted_overtaken_and_healed(stack: Stack) -> None:
    await wait_until(lambda: _values(stack) == {False}, "the newer choice to be accepted")
    await wait_until(lambda: _values(stack) == {True}, "the older one to be carried out late")
    await wait_until(lambda: _values(stack) == {False}, "the repeat", 60)


async def _stop(worker: subprocess.Popen[bytes], how: signal.Signals) -> None:
    worker.send_signal(how)
    await asyncio.to_thread(worker.wait, 30)


@pytest.mark.parametrize("shape", SHAPES)
async def test_the_newer_choices_are_sent_again_when_no_older_one_can_come_any_more(
    broker_url: str, namespace: str, shape: str
) -> None:
    # One alone has a request each, and a lane that is new begins four.
    users = [f"u{n}@a.example" for n in range(3 if shape == "single" else 20)]
    async with Stack(broker_url, namespace, **SOON) as stack:
        stack.add_integration("shop", **SHAPES[shape])
        state = stack.sandbox.state
        hang = state.inject(target="collection", key="shop", kind="hang", applied_after_ms=LATE_MS)
        stack.start_worker()
        await stack.wait_until_consuming()
        await stack.publish([_body(shape, one, f"old-{n}", True) for n, one in enumerate(users)])
        # Maybe not all: of what comes after the first request only a probe is begun meanwhile.
        await wait_until(lambda: _sent(stack), "older ones")
        await stack.publish([_body(shape, one, f"new-{n}", False) for n, one in enumerate(users)])
        late = _sent(stack)
        state.faults.clear(hang.id)  # its calls get a 504
        await wait_until(
            lambda: len(state.profiles) == len(users) and _values(stack) == {False},
            "the newer choices to be accepted",
        )
        await wait_until(lambda: _values(stack, late) == {True}, "the older ones to be late")
        await wait_until(lambda: _values(stack) == {False}, "the repeats", 60)
        await wait_until(lambda: len(_told(stack, "repeat.ended")) == len(late), "their ends")
        assert await _counted(stack) == {"planned": len(late), "repeated": len(late)}
        assert {one["result"] for one in _told(stack, "repeat.ended")} == {"repeated"}
        outcomes = (await stack.get("/metrics"))[1]
        total = re.findall(r'consent_outcomes_total\{.*outcome="delivered".*\} (\d+)', outcomes)
        skipped = re.findall(r'consent_outcomes_total\{.*reason="superseded"\} (\d+)', outcomes)
        assert sum(map(int, total + skipped)) == 2 * len(users), "an outcome of each event"


async def test_a_request_that_times_out_is_carried_out_after_the_newer_choice(
    broker_url: str, namespace: str
) -> None:
    """Nothing is said on the line for the whole time limit of an attempt, here two seconds."""
    async with Stack(
        broker_url,
        namespace,
        UNCLEAR_SECONDS=UNCLEAR_SECONDS,
        RETRY_BUDGET_SECONDS=20,
        ATTEMPT_TIMEOUT_SECONDS=2,
    ) as stack:
        stack.add_integration("shop")
        stack.sandbox.state.inject(
            target="collection", key="shop", kind="hang", times=1, applied_after_ms=LATE_MS
        )
        stack.start_worker()
        await stack.wait_until_consuming()
        await stack.publish([_body("batch", "lena@a.example", "old", True)])
        await wait_until(lambda: len(stack.messages("shop")) == 1, "the older one")
        await stack.publish([_body("batch", "lena@a.example", "new", False)])
        await _accepted_overtaken_and_healed(stack)


async def test_another_worker_knows_of_it_by_redis(
    broker_url: str, redis_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace, **SOON, STATE_URL=redis_url) as stack:
        stack.add_integration("shop")
        stack.sandbox.state.inject(
            target="collection",
            key="shop",
            kind="status",
            status=504,
            times=1,
            applied_after_ms=LATE_MS + 4000,
        )
        first = stack.start_worker()
        await stack.wait_until_consuming()
        await stack.publish([_body("batch", "lena@a.example", "old", True)])
        await wait_until(lambda: _told(stack, "delivery.retried"), "the older one")
        await _stop(first, signal.SIGTERM)
        stack.start_worker()
        await stack.publish([_body("batch", "lena@a.example", "new", False)])
        await _accepted_overtaken_and_healed(stack)


async def test_a_worker_that_is_killed_before_the_repeat_is_confirmed_loses_none(
    own_broker: RunningBroker, redis_url: str, namespace: str
) -> None:
    """The broker takes no messages when the newer choice is accepted, so its worker dies with it
    accepted, the repeat not published, and the event not acknowledged.
    """
    settings = {"UNCLEAR_SECONDS": 40, "HEARTBEAT": 60, "STATE_URL": redis_url}
    async with Stack(own_broker.url, namespace, **settings) as stack:
        stack.add_integration("shop")
        stack.sandbox.state.inject(
            target="collection",
            key="shop",
            kind="status",
            status=504,
            times=1,
            applied_after_ms=25_000,
        )
        first = stack.start_worker()
        await stack.wait_until_consuming()
        await stack.publish([_body("batch", "lena@a.example", "old", True)])
        await wait_until(lambda: _told(stack, "delivery.retried"), "the older one")
        first.send_signal(signal.SIGSTOP)
        await stack.publish([_body("batch", "lena@a.example", "new", False)])
        await asyncio.to_thread(own_broker.ctl, "set_vm_memory_high_watermark", "0.0000001")
        first.send_signal(signal.SIGCONT)
        await wait_until(lambda: _told(stack, "repeat.planned"), "the newer one to be accepted")
        await _stop(first, signal.SIGKILL)
        await asyncio.to_thread(own_broker.ctl, "set_vm_memory_high_watermark", "0.9")
        stack.start_worker()
        await wait_until(lambda: len(_told(stack, "repeat.planned")) == 2, "it to be planned anew")
        await wait_until(lambda: _values(stack) == {True}, "the older one, late", 60)
        await wait_until(lambda: _values(stack) == {False}, "the repeat", 90)


async def test_without_an_unclear_answer_nothing_is_repeated(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace, RETRY_BUDGET_SECONDS=20) as stack:
        stack.add_integration("shop")
        stack.sandbox.state.inject(target="collection", key="shop", kind="status", times=3)
        stack.start_worker()
        await stack.wait_until_consuming()
        for enabled in (True, False, True):
            bodies = [_body("batch", f"u{n}@a.example", "", enabled) for n in range(20)]
            await stack.publish(bodies)
        await wait_until(lambda: len(stack.delivered("shop")) == 20, "all users")
        await wait_until(lambda: _values(stack) == {True}, "the newest of each")
        assert await _counted(stack) == {}

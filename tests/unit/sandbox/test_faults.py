"""Staged faults, the journal, and a stop that does not wait."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from devtools.waiting import wait_until
from tests.unit.sandbox.conftest import Caller, upsert
from worker.sandbox.app import Sandbox, create_app
from worker.sandbox.emulator_state import STATE, SandboxState

FAULTS = "/admin/faults"


async def test_a_status_is_answered_as_often_as_asked_for(caller: Caller) -> None:
    fault = {"target": "collection", "key": "i", "kind": "status", "times": 1}
    fault |= {"status": 503, "retry_after": "5", "body": {"x": 1}}
    created = await caller.call("POST", FAULTS, json=fault)
    assert created.status == 201
    assert [one["id"] for one in (await caller.call("GET", FAULTS)).body] == [created.body["id"]]
    answer = await caller.send(upsert())
    assert (answer.status, answer.headers["Retry-After"], answer.body) == (503, "5", {"x": 1})
    assert (await caller.send(upsert())).status == 200
    assert (await caller.call("GET", FAULTS)).body == []


@pytest.mark.parametrize(("key", "status"), [("i", 503), ("f", 503), ("*", 503), ("z", 200)])
async def test_a_fault_meets_an_inlet_a_flow_or_all(caller: Caller, key: str, status: int) -> None:
    caller.state.inject(target="collection", key=key, kind="status")
    assert (await caller.send(upsert())).status == status
    many = await caller.send({"messages": [upsert()]}, "/collection/batch/i")
    assert many.status == (503 if status == 503 else 207)


async def test_a_fault_ends_with_its_time_or_its_removal(caller: Caller) -> None:
    caller.state.inject(target="lookup", kind="status", status=500, seconds=0.0)
    assert (await caller.look_up()).status == 404
    fault = caller.state.inject(target="token", kind="refuse-token", key="c")
    assert (await caller.token()).body["error"] == "invalid_client"
    assert (await caller.token(client_id="other")).status == 200
    await caller.call("DELETE", f"{FAULTS}/{fault.id}")
    assert (await caller.token()).status == 200


async def test_latency_comes_before_a_true_answer(caller: Caller) -> None:
    caller.state.inject(target="collection", kind="latency", latency_ms=60)
    begun = time.monotonic()
    assert (await caller.send(upsert())).status == 200
    assert time.monotonic() - begun >= 0.06


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        pytest.param({"kind": "status", "status": 502}, 502, id="a status"),
        pytest.param({"kind": "latency"}, 504, id="the usual answer"),
        pytest.param({"kind": "reset"}, None, id="no answer"),
    ],
)
@pytest.mark.parametrize("path", ["/collection/i", "/collection/batch/i"])
async def test_a_call_is_carried_out_after_it_was_answered(
    caller: Caller, fault: dict[str, Any], status: int | None, path: str
) -> None:
    caller.state.inject(target="collection", times=1, applied_after_ms=300, **fault)
    document = {"messages": [upsert(), {}]} if "batch" in path else upsert()
    if status is None:
        with pytest.raises(aiohttp.ClientError):
            await caller.send(document, path)
    else:
        assert (await caller.send(document, path)).status == status
    assert not caller.state.profiles
    await wait_until(lambda: len(caller.state.profiles) == 1, "the late application")
    assert caller.state.failures == []


async def test_a_call_that_hangs_is_carried_out_once_and_released_without(caller: Caller) -> None:
    hang = caller.state.inject(target="collection", kind="hang", applied_after_ms=50)
    calling = asyncio.create_task(caller.send(upsert()))
    await wait_until(lambda: len(caller.state.profiles) == 1, "the late application")
    caller.state.profiles.clear()
    caller.state.faults.clear(hang.id)
    assert (await calling).status == 504
    assert not caller.state.profiles


@pytest.mark.parametrize(("kind", "stored"), [("reset", 0), ("reset-after-processing", 1)])
@pytest.mark.parametrize("path", ["/collection/i", "/collection/batch/i"])
async def test_a_reset_is_before_or_after_the_work(
    caller: Caller, kind: str, stored: int, path: str
) -> None:
    caller.state.inject(target="collection", kind=kind)
    message = {"messages": [upsert()]} if "batch" in path else upsert()
    with pytest.raises(aiohttp.ClientConnectionError):
        await caller.send(message, path)
    await asyncio.sleep(0.02)
    assert len(caller.state.profiles) == stored
    assert caller.state.requests[-1]["status"] is None


async def test_a_call_that_hangs_goes_on_when_the_fault_is_removed(caller: Caller) -> None:
    caller.state.inject(target="collection", kind="hang", times=1)
    call = asyncio.create_task(caller.send(upsert()))

    async def is_held() -> bool:
        return bool(caller.state.requests)

    await wait_until(is_held, "the call")
    assert (await caller.send(upsert())).status == 200, "the fault is used up"
    assert not call.done()
    caller.state.clear_faults()
    assert (await call).status == 200


async def test_a_stop_does_not_wait_for_calls_that_hang() -> None:
    sandbox = Sandbox(port=0)
    await sandbox.start()
    sandbox.state.inject(target="token", kind="hang")
    async with aiohttp.ClientSession() as session:
        caller = Caller(sandbox, session)
        call = asyncio.create_task(caller.token())

        async def is_held() -> bool:
            return bool(sandbox.state.requests)

        await wait_until(is_held, "the call")
        begun = time.monotonic()
        await sandbox.stop()
        assert time.monotonic() - begun < 2
        with pytest.raises(aiohttp.ClientError):
            await call
    assert sandbox.state.tokens_issued == 0, "cut off, not let through"


async def test_stopping_what_never_started_or_has_stopped_is_harmless() -> None:
    sandbox = Sandbox()
    await sandbox.stop()
    async with sandbox:
        pass
    await sandbox.stop()


async def test_the_journal_tells_what_came_and_what_was_answered(caller: Caller) -> None:
    await caller.send(upsert(x=1), params={"q": "1"})
    await caller.send("text", "/collection/other")
    assert (await caller.call("GET", "/healthz")).body == {"status": "ok"}
    (entry,) = (await caller.call("GET", "/admin/requests?inlet=i")).body
    assert entry["headers"]["Authorization"] == "***"
    assert entry["body"] == upsert(x=1)
    shown = [entry[key] for key in ("method", "path", "query", "status", "inlet", "flow_id")]
    assert shown == ["POST", "/collection/i", {"q": "1"}, 200, "i", "f"]
    assert len((await caller.call("GET", "/admin/requests")).body) == 2
    await caller.call("DELETE", "/admin/requests")
    assert not caller.state.requests


def test_an_app_of_its_own_has_a_bounded_journal() -> None:
    state = create_app(token_lifetime_seconds=5)[STATE]
    assert isinstance(state, SandboxState)
    assert (state.token_lifetime_seconds, state.requests.maxlen) == (5, 100_000)

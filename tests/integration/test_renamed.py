"""An integration that gets another id goes on with the state that it had."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from devtools.stack import Stack, event
from devtools.waiting import wait_until

LENA = "lena@northwind.example"
NEWS = {"id": "_acme.newsletter", "value": "consents_purposes_newsletter_enabled"}
PROFILING = {"id": "_acme.profiling", "value": "consents_purposes_profiling_enabled"}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"payload_mode": "upsert"},
    "whole": {"payload_mode": "xdm", "dataset_starts_empty": True},
    "devices": {"payload_mode": "xdm", "events": "user"},
}


@pytest.fixture(params=["memory", "sqlite", "redis"])
def state_url(request: pytest.FixtureRequest, redis_url: str, tmp_path: Path) -> str:
    urls = {"memory": "memory:", "sqlite": f"sqlite://{tmp_path}/state.sqlite", "redis": redis_url}
    return urls[request.param]


@pytest.fixture
async def stack(broker_url: str, namespace: str, state_url: str) -> AsyncIterator[Stack]:
    async with Stack(broker_url, namespace, STATE_URL=state_url, LOG_LEVEL="debug") as running:
        for kind, changes in KINDS.items():
            # A record can't be completed by a state in memory.
            if kind != "whole" or state_url != "memory:":
                add(running, kind, kind, **changes)
        yield running


def add(stack: Stack, integration_id: str, kind: str, **changes: Any) -> None:
    """One that sends to the place of that kind, whatever its id is."""
    endpoint = f"{stack.sandbox.url}/collection/{kind}"
    properties = {
        "dataflow_endpoint": endpoint,
        "dataflow_id": f"flow-{kind}",
        "dataset_id": f"dataset-{kind}",
    }
    stack.add_integration(
        integration_id,
        **{"organization_id": "org-shop", "mappings": [NEWS, PROFILING]},
        properties=properties,
        **changes,
    )


def rename(stack: Stack) -> None:
    """All of them; half by the file's name alone, which is then the id."""
    for path in sorted(stack.integrations.glob("*.json")):
        document = json.loads(path.read_text()) | {"id": f"{path.stem}-2"}
        if path.stem == "plain":
            path.write_text(json.dumps(document))
        else:
            fresh = path.with_name("fresh")
            fresh.write_text(json.dumps(document))
            path.unlink()
            fresh.rename(path.with_name(f"{path.stem}-2.json"))


def choice(time: str, purpose: str, *, enabled: bool = True) -> bytes:
    said = {"purposes": [{"id": purpose, "enabled": enabled}]}
    created = f"2026-03-02T{time}:00Z"
    body = event("org-shop", LENA, event_id=f"{purpose} {time}", created_at=created, consents=said)
    return json.dumps(body).encode()


def snapshot(time: str, device: str, **purposes: bool) -> bytes:
    entity = {
        "id": device,
        "organization_id": "org-shop",
        "organization_user_id": LENA,
        "regulation": "gdpr",
        "version": 1,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": f"2026-03-02T{time}:00Z",
        "consents": {"purposes": [{"id": one, "enabled": said} for one, said in purposes.items()]},
    }
    return json.dumps({"type": "user.updated", "parameters": {"new_entity": entity}}).encode()


def record(stack: Stack, kind: str) -> Any:
    profile = stack.sandbox.state.profiles.get((f"dataset-{kind}", LENA))
    return None if profile is None else profile.record.get("_acme")


def outcomes(stack: Stack, reason: str) -> list[str]:
    told = stack.log_entries()
    return [str(one["integration"]) for one in told if one.get("reason") == reason]


def told(stack: Stack, name: str) -> list[dict[str, Any]]:
    return [one for one in stack.log_entries() if one["event"] == name]


async def restart(stack: Stack, *, meanwhile: Any) -> None:
    worker = stack.workers[-1]
    worker.send_signal(signal.SIGTERM)
    await asyncio.to_thread(worker.wait)
    connected = len(told(stack, "broker.connected"))
    meanwhile(stack)
    stack.start_worker()
    await wait_until(lambda: len(told(stack, "broker.connected")) > connected, "the next one", 60)


def kinds(stack: Stack) -> set[str]:
    return {path.stem.removesuffix("-2") for path in stack.integrations.glob("*.json")}


async def _begin(stack: Stack) -> None:
    stack.start_worker()
    await stack.wait_until_consuming()
    await stack.publish(
        [
            choice("09:00", "newsletter"),
            choice("09:00", "profiling"),
            snapshot("09:00", "phone", newsletter=True),
        ]
    )
    both = {"newsletter": True, "profiling": True}
    for one in kinds(stack) - {"devices"}:
        await wait_until(partial(_has, stack, one, both), f"both choices at {one}")
    await wait_until(lambda: record(stack, "devices") == {"newsletter": True}, "the first device")


def _has(stack: Stack, integration_id: str, wanted: dict[str, bool]) -> bool:
    return bool(record(stack, integration_id) == wanted)


async def _go_on(stack: Stack) -> None:
    """What is older loses, and what is newer takes nothing away."""
    await stack.publish(
        [
            choice("08:00", "newsletter", enabled=False),
            snapshot("09:30", "tablet", profiling=False),
        ]
    )
    singles = {f"{one}-2" for one in kinds(stack) - {"devices"}}
    await wait_until(lambda: set(outcomes(stack, "superseded")) >= singles, "the older one")
    devices = {"newsletter": True, "profiling": False}
    await wait_until(lambda: record(stack, "devices") == devices, "the other device")
    await stack.publish(
        [choice("10:00", "profiling", enabled=False), snapshot("09:40", "phone", profiling=True)]
    )
    taken_back = {"profiling": True}
    await wait_until(lambda: record(stack, "devices") == taken_back, "the first device again")
    for one in kinds(stack) - {"devices"}:
        await wait_until(partial(_has, stack, one, devices), f"the newer one at {one}")
    assert await stack.depth("dead-letters") == 0


async def test_a_worker_that_runs_takes_the_state_over(stack: Stack, state_url: str) -> None:
    await _begin(stack)
    rename(stack)
    renamed = {f"{one}-2" for one in kinds(stack)}

    def taken() -> bool:
        lines = told(stack, "integrations.state_taken_over")
        return {str(one["integration"]) for one in lines} == renamed

    await wait_until(taken, "the word of it")
    await _go_on(stack)
    lines = told(stack, "integrations.state_taken_over")
    assert {str(one["former"]) for one in lines} == kinds(stack)
    assert len(lines) == len(renamed)


@pytest.mark.parametrize("renames_first", [True, False])
async def test_so_does_one_that_starts_afterwards(
    stack: Stack, state_url: str, renames_first: bool
) -> None:
    if state_url == "memory:":
        pytest.skip("a start forgets the state")
    await _begin(stack)
    if renames_first:
        await restart(stack, meanwhile=rename)
    else:
        rename(stack)
        await wait_until(
            lambda: len(told(stack, "integrations.state_taken_over")) == len(kinds(stack)), "it"
        )
        await restart(stack, meanwhile=lambda _: None)
    await _go_on(stack)
    assert len(told(stack, "integrations.state_taken_over")) == len(kinds(stack))


async def test_another_dataset_has_nothing_yet(stack: Stack) -> None:
    await _begin(stack)
    (stack.integrations / "plain.json").unlink()
    add(stack, "other", "other")
    await wait_until(lambda: '"loaded":["other"]' in stack.log_text(), "the other one")
    await stack.publish([choice("08:00", "newsletter", enabled=False)])
    await wait_until(lambda: record(stack, "other") == {"newsletter": False}, "the older choice")
    assert told(stack, "integrations.state_taken_over") == []


async def test_a_person_is_erased_where_the_state_is(stack: Stack, state_url: str) -> None:
    if state_url == "memory:":
        pytest.skip("no command reaches it")
    await _begin(stack)
    await restart(stack, meanwhile=rename)
    code, _, err = await stack.command("erase", stdin=LENA.encode())
    assert code == 0, err
    await stack.publish([choice("09:10", "newsletter")])
    singles = {f"{one}-2" for one in kinds(stack) - {"devices"}}
    await wait_until(lambda: set(outcomes(stack, "erased")) >= singles, "what is older than that")

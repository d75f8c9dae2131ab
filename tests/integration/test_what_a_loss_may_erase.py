"""Whole records after the state was lost: what would erase waits, is named, and goes on at once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from devtools.stack import Stack
from devtools.waiting import wait_until
from tests.integration.test_auto_mode import SCHEMA, put_flow, snapshot, start, told
from tests.integration.test_completion import BY_ID, LENA, MAPPINGS, choice, record

BOTH = {"newsletter": True, "profiling": True}


@pytest.fixture
async def operator(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def stack(broker_url: str, namespace: str, redis_url: str) -> AsyncIterator[Stack]:
    """Nobody probes a block within the test."""
    settings = {"STATE_URL": redis_url, "BLOCK_PROBE_SECONDS": 240, "WATCH_SECONDS": 0.3}
    async with Stack(broker_url, namespace, LOG_LEVEL="debug", **settings) as running:
        put_flow(running, "xdm")
        schema = running.sandbox.state.organization.schemas[SCHEMA]["properties"]
        schema["_acme"]["properties"]["profiling"] = {"type": "boolean"}
        schema["personID"] = {"type": "string"}
        yield running


async def lose_state(stack: Stack, operator: Redis) -> None:
    # What Adobe has taken is remembered before it is told, and would stand after the loss.
    await wait_until(lambda: len(told(stack, "delivery.delivered")) == 2, "both outcomes")
    keys = [key async for key in operator.scan_iter(f"{stack.namespace}:*")]
    await operator.delete(*keys)
    await wait_until(lambda: told(stack, "ordering.state_lost") != [], "the alarm")


async def choose_both(stack: Stack) -> None:
    await start(stack)
    await stack.publish([choice(LENA, "newsletter"), choice(LENA, "profiling")])
    await wait_until(lambda: record(stack) == BOTH, "both choices")


def blocked(stack: Stack) -> list[Any]:
    return [one["error"] for one in told(stack, "integration.blocked")]


def of_device(device: str, *purposes: str) -> bytes:
    made = json.loads(snapshot())
    entity = made["parameters"]["new_entity"]
    entity["id"] = device
    entity["consents"]["purposes"] = [{"id": one, "enabled": True} for one in purposes]
    return json.dumps(made).encode()


async def accept_refused_then_insist(stack: Stack, said: str) -> None:
    code, _, err = await stack.command("state", "accept")
    assert code == 1, "nothing is accepted by the way"
    assert said in err
    assert told(stack, "ordering.state_accepted") == []
    code, _, err = await stack.command("state", "accept", "--may-erase")
    assert code == 0, err
    await wait_until(lambda: told(stack, "ordering.state_accepted") != [], "the end of the alarm")


async def test_a_kind_that_auto_has_found_outlives_the_loss_so_that_accept_names_who_erases(
    stack: Stack, operator: Redis
) -> None:
    stack.add_integration("shop", payload_mode="auto", dataset_starts_empty=True, mappings=MAPPINGS)
    await choose_both(stack)
    await lose_state(stack, operator)

    async def is_kept() -> bool:
        kept = await operator.hget(f"{stack.namespace}:inlets", "shop")
        return isinstance(kept, bytes) and kept.startswith(b"xdm ")

    await wait_until(is_kept, "what the worker knows, kept anew")
    code, _, err = await stack.command("state", "accept")
    assert code == 1
    assert "shop: its inlet is XDM-compatible" in err
    await operator.delete(f"{stack.namespace}:inlets")
    code, _, err = await stack.command("state", "accept")
    assert code == 1
    assert "shop: of which kind its inlet is, is not known here" in err
    await stack.publish([choice(LENA, "newsletter", enabled=False)])
    kept = {"newsletter": False, "profiling": True}
    await wait_until(lambda: record(stack) == kept, "what was looked up goes along")


async def test_what_was_accepted_after_a_loss_does_not_pass_for_all_that_there_is(
    stack: Stack, operator: Redis
) -> None:
    stack.add_integration("shop", payload_mode="xdm", dataset_starts_empty=True, mappings=MAPPINGS)
    await start(stack)
    await stack.publish([choice(LENA, "newsletter")])
    await wait_until(lambda: told(stack, "delivery.delivered") != [], "the first choice")
    slow = stack.sandbox.state.faults.inject(
        target="collection", kind="latency", latency_ms=2_000, times=1
    )
    await stack.publish([choice(LENA, "profiling")])
    await wait_until(slow.is_over, "a request that has come, and has no answer yet")
    await operator.delete(*[key async for key in operator.scan_iter(f"{stack.namespace}:*")])
    await wait_until(lambda: len(told(stack, "delivery.delivered")) == 2, "its answer")
    await wait_until(lambda: told(stack, "ordering.state_lost") != [], "the alarm")
    await stack.publish([choice(LENA, "profiling", enabled=False)])
    kept = {"newsletter": True, "profiling": False}
    await wait_until(lambda: record(stack) == kept, "what was looked up goes along")


async def test_a_running_worker_goes_on_as_soon_as_the_loss_is_accepted(
    stack: Stack, operator: Redis
) -> None:
    primary = stack.sandbox.state.organization.descriptors[0]
    primary["xdm:sourceProperty"] = "/personID"
    more = {"dataset_starts_empty": True, "mappings": MAPPINGS, "properties": BY_ID}
    stack.add_integration("shop", payload_mode="auto", **more)
    await choose_both(stack)
    await lose_state(stack, operator)
    await stack.publish([choice(LENA, "newsletter", enabled=False)])
    await wait_until(lambda: blocked(stack) == ["state-lost"], "the block")
    assert record(stack) == BOTH
    await accept_refused_then_insist(stack, "shop: its inlet is XDM-compatible")
    await wait_until(lambda: told(stack, "integration.unblocked") != [], "the end of the block")
    await stack.publish([choice(LENA, "profiling", enabled=False)])
    await wait_until(lambda: record(stack)["profiling"] is False, "the next event")


async def test_snapshots_that_would_erase_what_other_devices_said_wait_for_an_operator(
    stack: Stack, operator: Redis
) -> None:
    stack.add_integration("shop", payload_mode="auto", events="user", mappings=MAPPINGS)
    await start(stack)
    await stack.publish([of_device("phone", "newsletter"), of_device("tablet", "profiling")])
    await wait_until(lambda: record(stack) == BOTH, "what both devices said")
    await lose_state(stack, operator)
    await stack.publish([of_device("phone", "newsletter")])
    await wait_until(lambda: blocked(stack) == ["state-lost"], "the block")
    assert record(stack) == BOTH
    await accept_refused_then_insist(stack, "erases what other Didomi users (devices)")
    await stack.publish([of_device("tablet", "profiling")])
    await wait_until(lambda: record(stack) == {"profiling": True}, "what was accepted")

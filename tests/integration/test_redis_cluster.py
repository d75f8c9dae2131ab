"""Workers with their state on a Redis Cluster, as an operator sees them."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from devtools.native_redis import NativeRedis
from devtools.native_redis_cluster import NativeRedisCluster
from devtools.stack import Stack, event
from devtools.waiting import wait_until
from tests.integration.tls import make_certificate

SHOPS = ("shop-0", "shop-1", "shop-2", "shop-3", "shop-6", "shop-7")
"""Two at each master, by their slots."""


@pytest.fixture
async def stack(
    broker_url: str, namespace: str, redis_cluster: NativeRedisCluster
) -> AsyncIterator[Stack]:
    settings = {"STATE_URL": redis_cluster.url, "RETRY_BUDGET_SECONDS": 480, "WATCH_SECONDS": 0.5}
    async with Stack(broker_url, namespace, **settings) as running:
        for shop in SHOPS:
            running.add_integration(shop)
        yield running


@pytest.fixture
def master(redis_cluster: NativeRedisCluster) -> Iterator[NativeRedis]:
    """One that has nothing but integrations; it is back after the test."""
    shared = redis_cluster.master_of("{~}")
    chosen = next(one for one in redis_cluster.masters if one is not shared)
    yield chosen
    if chosen._process is None:
        chosen.start()
    redis_cluster.wait_until_whole(redis_cluster.masters)


def split(cluster: NativeRedisCluster, master: NativeRedis) -> tuple[list[str], list[str]]:
    """The integrations of a master, and those of the others."""
    theirs = [one for one in SHOPS if cluster.master_of(f"{{{one}}}") is master]
    others = [one for one in SHOPS if one not in theirs]
    assert theirs
    assert others
    return theirs, others


def body(shop: str, user: str, minute: int, *, enabled: bool = True) -> bytes:
    made = f"2026-03-02T08:{minute:02}:00Z"
    return json.dumps(event(f"org-{shop}", user, enabled=enabled, created_at=made)).encode()


def choices(stack: Stack, shop: str) -> dict[str, Any]:
    """What the emulator has of each user of an integration."""
    return {
        user: profile.record["_acme"]["newsletter"]
        for (dataset, user), profile in stack.sandbox.state.profiles.items()
        if dataset == f"dataset-{shop}"
    }


def has_all(stack: Stack, shop: str) -> bool:
    found = choices(stack, shop)
    return len(found) == 61 and found["lena@a.example"] is False


def has_emil(stack: Stack, shop: str) -> bool:
    return "emil@a.example" in choices(stack, shop)


async def readiness(stack: Stack) -> tuple[int, dict[str, Any]]:
    status, text = await stack.get("/readyz")
    return status, json.loads(text)


async def gauge(stack: Stack, name: str) -> float:
    lines = (await stack.get("/metrics"))[1].splitlines()
    (value,) = [line.split()[1] for line in lines if line.startswith(f"{name} ")]
    return float(value)


@pytest.mark.timeout(300)
async def test_one_master_is_away_and_the_others_integrations_go_on(
    stack: Stack, redis_cluster: NativeRedisCluster, master: NativeRedis
) -> None:
    theirs, others = split(redis_cluster, master)
    stack.override("PREFETCH_EVENTS", 50)
    for _ in range(2):
        stack.start_worker()
    await stack.wait_until_consuming(60)
    await stack.publish([body(shop, "lena@a.example", 10) for shop in SHOPS])
    for shop in SHOPS:
        await wait_until(partial(choices, stack, shop), f"the first of {shop}", 60)
    await wait_until(stack.is_ready, "readiness", 30)
    assert await gauge(stack, "consent_ordering_available") == 1

    master.kill()
    # Far more than a worker may hold: who waits is not to take the room of all others.
    users = [f"u{number}@a.example" for number in range(60)]
    await stack.publish([body(shop, user, 20) for user in users for shop in theirs])
    # Older ones and newer ones of a person whose state is away, and of one whose state is there.
    for shop in SHOPS:
        await stack.publish([body(shop, "lena@a.example", 30, enabled=False)])
        await stack.publish([body(shop, "lena@a.example", 5)])
    await stack.publish([body(shop, user, 20) for user in users for shop in others])
    for shop in others:
        await wait_until(partial(has_all, stack, shop), f"all of {shop}", 90)
    for shop in theirs:
        assert choices(stack, shop) == {"lena@a.example": True}, "held, and not sent unguarded"

    async def is_told() -> bool:
        status, answer = await readiness(stack)
        assert status == 200, "ready, with a note"
        notes = " ".join(answer["notes"])
        waiting = [f"integration {shop} waits: its state is away" in notes for shop in theirs]
        return all(waiting) and f"Redis at 127.0.0.1:{master.port} " in notes

    await wait_until(is_told, "the note", 30)
    _, answer = await readiness(stack)
    assert not any(f"integration {shop} waits" in str(answer["notes"]) for shop in others)
    assert await gauge(stack, "consent_ordering_available") == 0

    master.start()
    for shop in theirs:
        await wait_until(partial(has_all, stack, shop), f"all of {shop}", 90)
        assert choices(stack, shop)["lena@a.example"] is False, "the newest has won"
    for queue in ("events", "retries", "parked"):
        await stack.wait_for_depth(queue, 0)
    await stack.wait_for_depth("dead-letters", 0)
    await wait_until(lambda: _is_available(stack), "an end of the alarm", 30)


@pytest.mark.timeout(300)
async def test_a_worker_that_starts_while_a_master_is_away_works_for_the_others(
    stack: Stack, redis_cluster: NativeRedisCluster, master: NativeRedis
) -> None:
    theirs, others = split(redis_cluster, master)
    master.kill()
    stack.start_worker()
    await stack.wait_until_consuming(60)
    await stack.publish([body(shop, "lena@a.example", 10) for shop in SHOPS])
    for shop in others:
        await wait_until(partial(choices, stack, shop), f"the first of {shop}", 60)
    await wait_until(stack.is_ready, "readiness", 30)
    assert not any(choices(stack, shop) for shop in theirs)
    master.start()
    for shop in theirs:
        await wait_until(partial(choices, stack, shop), f"the first of {shop}", 60)


async def _is_available(stack: Stack) -> bool:
    return await gauge(stack, "consent_ordering_available") == 1


@pytest.mark.timeout(300)
async def test_a_master_restarts_without_its_data_and_the_loss_is_told_and_accepted(
    stack: Stack, redis_cluster: NativeRedisCluster, master: NativeRedis
) -> None:
    stack.start_worker()
    await stack.wait_until_consuming(60)
    await wait_until(stack.is_ready, "readiness", 30)
    assert await gauge(stack, "consent_ordering_state_lost") == 0
    master.kill()
    shutil.rmtree(master.home / "appendonlydir")
    master.start()

    async def is_lost() -> bool:
        return await gauge(stack, "consent_ordering_state_lost") == 1

    await wait_until(is_lost, "the loss", 60)
    assert "ordering.state_lost" in stack.log_text()
    code, out, _ = await stack.command("state", "show", "--json")
    assert (code, len(json.loads(out)["lost"])) == (0, 1)
    code, out, _ = await stack.command("state", "accept", "--json")
    assert (code, len(json.loads(out)["newly_accepted"])) == (0, 1)

    async def is_accepted() -> bool:
        return not await is_lost()

    await wait_until(is_accepted, "an end of the alarm", 30)


@pytest.mark.timeout(300)
async def test_a_person_is_erased_on_a_cluster_and_older_choices_are_skipped(
    stack: Stack, redis_cluster: NativeRedisCluster
) -> None:
    stack.start_worker()
    await stack.wait_until_consuming(60)
    await stack.publish([body(shop, "lena@a.example", 10) for shop in SHOPS])
    for shop in SHOPS:
        await wait_until(partial(choices, stack, shop), f"the first of {shop}", 60)
    code, out, said = await stack.command("erase", stdin=b"lena@a.example\n")
    assert code == 0, out + said
    before = {shop: len(stack.messages(shop)) for shop in SHOPS}
    await stack.publish([body(shop, "lena@a.example", 9) for shop in SHOPS])
    await stack.publish([body(shop, "emil@a.example", 9) for shop in SHOPS])
    for shop in SHOPS:
        await wait_until(partial(has_emil, stack, shop), shop, 60)
        assert len(stack.messages(shop)) == before[shop] + 1


@pytest.mark.timeout(180)
async def test_by_tls(broker_url: str, namespace: str, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    with NativeRedisCluster(certificate=certificate) as cluster:
        assert cluster.url.startswith("rediss+cluster://")
        async with Stack(broker_url, namespace, STATE_URL=cluster.url) as stack:
            for shop in SHOPS:
                stack.add_integration(shop)
            stack.start_worker()
            await stack.wait_until_consuming(60)
            for minute in (10, 9):
                is_yes = minute == 9
                bodies = [body(shop, "lena@a.example", minute, enabled=is_yes) for shop in SHOPS]
                await stack.publish(bodies)

            async def are_superseded() -> bool:
                told = (await stack.get("/metrics"))[1]
                return f'reason="superseded"}} {len(SHOPS)}.0' in told

            await wait_until(are_superseded, "the older ones to be passed over", 60)
            for shop in SHOPS:
                assert choices(stack, shop) == {"lena@a.example": False}
            code, out, _ = await stack.command("state", "show", "--json")
            assert (code, json.loads(out)["lost"]) == (0, [])

            stack.override("STATE_URL", cluster.url.partition("?")[0])
            _, _, said = await stack.command("state", "show")
            assert "shows a certificate that is not trusted" in said


@pytest.mark.timeout(120)
@pytest.mark.parametrize("command", [("run",), ("state", "show")])
async def test_the_url_of_one_server_that_leads_to_a_cluster_is_told_at_the_start(
    stack: Stack, redis_cluster: NativeRedisCluster, command: tuple[str, ...]
) -> None:
    stack.override("STATE_URL", redis_cluster.masters[0].url)
    code, _, said = await stack.command(*command)
    said += stack.log_text()
    assert code == (2 if command == ("run",) else 3)
    assert "write redis+cluster:// (or rediss+cluster://)" in said
    assert redis_cluster.url.rpartition("@")[0].rpartition(":")[2] not in said, "no password"

"""A Redis that answers and takes no writes is away, before the first event and between two."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import structlog
from redis.asyncio import Redis
from yarl import URL

from devtools.ports import free_port
from devtools.redis_server import RunningRedis, running_redis
from devtools.stack import Stack, event
from devtools.waiting import wait_until
from tests.integration.ordering.commands import run
from worker.delivery.rounds.store_gate import StoreGate
from worker.ordering.redis_store import RedisStore
from worker.ordering.store_protocol import StoreUnavailable, Timing

Turn = Callable[[Redis], Awaitable[object]]


async def _fill(redis: Redis) -> None:
    await redis.config_set("maxmemory-policy", "noeviction")
    await redis.config_set("maxmemory", "1")


async def _end_saving(redis: Redis) -> None:
    """As when its disk is full: a save that fails makes Redis refuse writes."""
    await redis.config_set("save", "3600 1")
    await redis.config_set("dbfilename", f"{'x' * 300}.rdb")  # no name of a file can be so long
    await redis.bgsave()
    await wait_until(lambda: _has_failed_to_save(redis), "the save to fail")


async def _has_failed_to_save(redis: Redis) -> bool:
    return str((await redis.info("persistence"))["rdb_last_bgsave_status"]) == "err"


FAULTS: dict[str, tuple[Turn, Turn, str]] = {
    "out of memory": (
        _fill,
        lambda redis: redis.config_set("maxmemory", "0"),
        "Redis is out of memory and refuses writes; raise maxmemory",
    ),
    "read-only": (
        lambda redis: redis.replicaof("127.0.0.1", free_port()),
        lambda redis: redis.replicaof("NO", "ONE"),
        "Redis is a read-only replica; CONSENT_WORKER_STATE_URL must lead to the primary",
    ),
    "too few replicas": (
        lambda redis: redis.config_set("min-replicas-to-write", "1"),
        lambda redis: redis.config_set("min-replicas-to-write", "0"),
        "Redis has too few replicas and refuses writes",
    ),
    "can't save": (
        _end_saving,
        lambda redis: redis.config_set("stop-writes-on-bgsave-error", "no"),
        "Redis can't save to its disk and refuses writes",
    ),
}


@pytest.fixture
def server() -> Iterator[RunningRedis]:
    with running_redis(options=("--enable-protected-configs", "yes")) as started:
        yield started


@pytest.fixture
async def operator(server: RunningRedis) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.url) as client:
        yield client


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_gate_closes_once_and_opens_once(
    server: RunningRedis, operator: Redis, fault: str
) -> None:
    break_it, mend_it, problem = FAULTS[fault]
    gate = StoreGate(RedisStore(server.url, Timing()))
    with structlog.testing.capture_logs() as logs:
        await gate.check()
        assert gate.is_open
        await break_it(operator)
        assert await operator.info(), "it answers"
        await gate.check()
        assert (gate.is_open, gate.problem) == (False, problem)
        asked = await _scripts_run(operator)
        await wait_until(lambda: _has_run(operator, asked + 4), "it to be asked again and again")
        assert not gate.is_open
        await mend_it(operator)
        await wait_until(lambda: gate.is_open, "the gate to open")
        await gate.check()
    assert [one["event"] for one in logs] == ["ordering.unavailable", "ordering.available"]
    await gate.stop()


async def _scripts_run(operator: Redis) -> int:
    done = await operator.info("commandstats")
    names = ("cmdstat_evalsha", "cmdstat_get")  # the secret's mark is read before the first script
    return sum(int(done[one]["calls"]) for one in names if one in done)


async def _has_run(operator: Redis, count: int) -> bool:
    return await _scripts_run(operator) >= count


async def test_a_missing_right_is_found_before_the_first_event(
    server: RunningRedis, operator: Redis
) -> None:
    await run(operator, "ACL", "SETUSER", "reader", "on", ">pw", "~*", "-@all", "+ping")
    url = URL(server.url).with_user("reader").with_password("pw")
    store = RedisStore(str(url), Timing())
    with pytest.raises(StoreUnavailable, match="refuses a command to this user"):
        await store.ping()
    await store.close()


def _told(stack: Stack, event_name: str) -> int:
    return [one["event"] for one in stack.log_entries()].count(event_name)


async def _says(stack: Stack, problem: str) -> bool:
    status, answer = await stack.get("/readyz")
    return status == 503 and f"ordering: {problem}" in json.loads(answer)["problems"]


@pytest.mark.parametrize("fault", ["out of memory", "read-only"])
async def test_a_worker_is_not_ready_until_redis_takes_writes_and_goes_on_then(
    server: RunningRedis, operator: Redis, broker_url: str, namespace: str, fault: str
) -> None:
    break_it, mend_it, problem = FAULTS[fault]
    await break_it(operator)
    async with Stack(broker_url, namespace, STATE_URL=server.url) as stack:
        stack.add_integration("shop")
        assert (await stack.command("topology", "declare"))[0] == 0
        stack.start_worker()
        await wait_until(lambda: _told(stack, "worker.started"), "the worker", 60)
        assert (await stack.get("/readyz"))[0] == 503, "at its very first word"
        await wait_until(lambda: _says(stack, problem), "the reason")
        bodies = [json.dumps(event("org-shop", f"u{i}@a.example")).encode() for i in range(20)]
        await stack.publish(bodies)
        asked = await _scripts_run(operator)
        await wait_until(lambda: _has_run(operator, asked + 6), "some more pings")
        assert await _says(stack, problem)
        assert stack.messages("shop") == []
        await mend_it(operator)
        await wait_until(lambda: len(stack.delivered("shop")) == 20, "all events", 60)
        await wait_until(stack.is_ready, "readiness")
        assert (_told(stack, "ordering.unavailable"), _told(stack, "ordering.available")) == (1, 1)
        # And between two events: nobody but the watch can notice.
        await break_it(operator)
        await wait_until(lambda: _says(stack, problem), "the watch to notice")
        await mend_it(operator)
        await wait_until(stack.is_ready, "readiness")
        assert (_told(stack, "ordering.unavailable"), _told(stack, "ordering.available")) == (2, 2)


async def test_a_redis_that_goes_away_is_noticed_without_an_event(
    server: RunningRedis, broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace, STATE_URL=server.url) as stack:
        stack.add_integration("shop")
        stack.start_worker()
        await stack.wait_until_consuming(60)
        await wait_until(stack.is_ready, "readiness")
        server.kill()
        await wait_until(stack.is_unready, "the watch to notice")
        assert "ordering: Redis" in (await stack.get("/readyz"))[1]
        server.start()
        await wait_until(stack.is_ready, "readiness")
        assert (_told(stack, "ordering.unavailable"), _told(stack, "ordering.available")) == (1, 1)

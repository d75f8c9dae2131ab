"""Where states are is remembered alike by all stores: for the fleet, and over a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import redis.asyncio

from tests.integration.ordering.test_inlets import TIMING, Make, make
from worker.integrations.state_id_needs import Standing
from worker.ordering.memory_store import MemoryStore
from worker.ordering.redis_store import RedisStore
from worker.ordering.sqlite_store import SqliteStore
from worker.ordering.state_takeover import look_up, take_over
from worker.ordering.store_protocol import NewestStore

__all__ = ["make"]  # a fixture


async def test_the_fleet_and_who_comes_later_agree(make: Make) -> None:
    one, other = make(), make()
    assert await take_over(one.state_ids, Standing({"a": "here", "b": "there"})) == {
        "a": "a",
        "b": "b",
    }
    renamed = Standing({"c": "here", "b": "there"}, known={"a": "a", "b": "b"})
    assert await look_up(one.state_ids, renamed) == {"c": "a", "b": "b"}, "writes nothing"
    assert await look_up(one.state_ids, Standing({"a": "here"})) == {"a": "a"}
    first, second = await asyncio.gather(
        take_over(one.state_ids, renamed), take_over(other.state_ids, renamed)
    )
    assert first == second == {"c": "a", "b": "b"}
    await one.close()
    last = make()
    assert await take_over(last.state_ids, Standing({"c": "here"})) == {"c": "a"}
    assert await take_over(last.state_ids, Standing({"d": "here", "a": "here"})) == {
        "a": "a",
        "d": "d",
    }


async def test_who_was_overtaken_by_another_write_writes_nothing(make: Make) -> None:
    one, other = make().state_ids, make().state_ids
    texts, writes = await one.read()
    assert (texts, writes) == ({}, 0)
    assert await other.write({"a": "other"}, writes)
    assert not await one.write({"a": "one", "b": "one"}, writes)
    assert await one.read() == ({"a": "other"}, 1)
    assert await one.write({"a": "one", "b": ""}, 1)
    assert await other.read() == ({"a": "one", "b": ""}, 2)


async def test_what_somebody_else_wrote_to_redis_is_replaced(
    redis_url: str, namespace: str, inspector: redis.asyncio.Redis
) -> None:
    store = RedisStore(redis_url, TIMING, namespace=namespace)
    await inspector.set(f"{namespace}:states", "text")  # of another type
    assert await store.state_ids.read() == ({}, 0)
    await inspector.hset(f"{namespace}:states", "@", "x" * 99)
    await inspector.hset(f"{namespace}:states", "a", b"\xff")
    assert await take_over(store.state_ids, Standing({"a": "here"})) == {"a": "a"}
    assert await take_over(store.state_ids, Standing({"b": "here"})) == {"b": "a"}
    assert await inspector.ttl(f"{namespace}:states") == -1, "it lives as long as the state"
    await store.close()


@pytest.mark.parametrize("kind", ["memory", "file", "redis"])
async def test_there_is_room_for_so_many(
    kind: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("state_ids", "sqlite_namespace", "redis_namespace"):
        monkeypatch.setattr(f"worker.ordering.{module}.MOST_STATE_IDS", 2)
    store: NewestStore
    if kind == "memory":
        store = MemoryStore(TIMING)
    elif kind == "file":
        store = SqliteStore(tmp_path / "state.sqlite", TIMING)
    else:
        store = RedisStore(request.getfixturevalue("redis_url"), TIMING, namespace=namespace)
    assert await store.state_ids.write(dict.fromkeys("abc", "old"), 0)
    assert await store.state_ids.write(dict.fromkeys("bcd", "new"), 1)
    assert await store.state_ids.read() == ({"a": "old", "b": "new"}, 2)
    await store.close()

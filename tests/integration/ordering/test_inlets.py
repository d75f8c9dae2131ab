"""What is known of inlets is kept alike by all stores: for the fleet, and over a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from worker.ordering.inlet_notes import MOST_CHARACTERS
from worker.ordering.memory_store import MemoryStore
from worker.ordering.redis_store import RedisStore
from worker.ordering.sqlite_store import SqliteStore
from worker.ordering.store_protocol import NewestStore, Timing

TIMING = Timing(60, 1000)
Make = Callable[[], NewestStore]


@pytest.fixture(params=["memory", "file", "redis"])
async def make(
    request: pytest.FixtureRequest, tmp_path: Path, namespace: str
) -> AsyncIterator[Make]:
    """Makes one more store on the same state; in memory it is always the same one."""
    made: list[NewestStore] = []
    one = MemoryStore(TIMING)

    def store() -> NewestStore:
        new: NewestStore
        if request.param == "memory":
            new = one
        elif request.param == "file":
            new = SqliteStore(tmp_path / "state.sqlite", TIMING, is_worker=False)
        else:
            url = request.getfixturevalue("redis_url")
            new = RedisStore(url, TIMING, namespace=namespace)
        made.append(new)
        return new

    yield store
    for each in made:
        await each.close()


async def test_what_is_kept_is_known_to_the_whole_fleet(make: Make) -> None:
    one, other = make(), make()
    assert await one.inlets.kept(["shop", "bank"]) == {}
    await one.inlets.keep("shop", "upsert 1 0123456789abcdef")
    await other.inlets.keep("shop", "xdm 2 0123456789abcdef")
    await other.inlets.keep("bank", "untold 3 0123456789abcdef")
    await other.inlets.keep("long", "x" * (MOST_CHARACTERS + 1))
    await one.close()
    last = make()
    assert await last.inlets.kept(["shop", "nobody", "bank", "long"]) == {
        "shop": "xdm 2 0123456789abcdef",
        "bank": "untold 3 0123456789abcdef",
    }
    assert await last.inlets.kept([f"shop{number}" for number in range(1200)]) == {}


async def test_namespaces_know_nothing_of_each_other(redis_url: str, namespace: str) -> None:
    one = RedisStore(redis_url, TIMING, namespace=namespace)
    other = RedisStore(redis_url, TIMING, namespace=f"{namespace}x")
    await one.inlets.keep("shop", "upsert 1 0123456789abcdef")
    assert await other.inlets.kept(["shop"]) == {}
    for each in (one, other):
        await each.close()


@pytest.mark.parametrize("value", [b"\xff", b"x" * 1000])
async def test_what_somebody_else_wrote_to_redis_is_replaced(
    redis_url: str, namespace: str, inspector: redis.asyncio.Redis, value: bytes
) -> None:
    store = RedisStore(redis_url, TIMING, namespace=namespace)
    await inspector.set(f"{namespace}:inlets", value)  # of another type
    assert await store.inlets.kept(["shop"]) == {}
    await inspector.hset(f"{namespace}:inlets", "shop", value)
    assert all(len(one) < MOST_CHARACTERS for one in (await store.inlets.kept(["shop"])).values())
    await store.inlets.keep("shop", "upsert 1 0123456789abcdef")
    assert await store.inlets.kept(["shop"]) == {"shop": "upsert 1 0123456789abcdef"}
    await store.close()


@pytest.mark.parametrize("kind", ["memory", "file", "redis"])
async def test_there_is_room_for_so_many(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, namespace: str, monkeypatch: Any
) -> None:
    for module in ("inlet_notes", "sqlite_namespace", "redis_namespace"):
        monkeypatch.setattr(f"worker.ordering.{module}.MOST_INLETS", 2)
    store: NewestStore
    if kind == "memory":
        store = MemoryStore(TIMING)
    elif kind == "file":
        store = SqliteStore(tmp_path / "state.sqlite", TIMING)
    else:
        store = RedisStore(request.getfixturevalue("redis_url"), TIMING, namespace=namespace)
    for name in ("a", "b", "c"):
        await store.inlets.keep(name, "old")
    await store.inlets.keep("b", "new")
    assert await store.inlets.kept(["a", "b", "c"]) == {"a": "old", "b": "new"}
    await store.close()

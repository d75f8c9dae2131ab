"""Keys by month: one for a fleet, kept for their time, and gone after it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import redis.asyncio

from devtools.waiting import wait_until
from worker.ordering.month_keys import month_of
from worker.ordering.redis_store import RedisStore
from worker.ordering.sqlite_store import SqliteStore
from worker.ordering.store_protocol import Timing
from worker.receipts.user_hashes import UserHashes

TIMING = Timing(60, 3600)
NOON_MS = 1_772_452_800_000
"""2 March 2026."""
END_OF_MARCH_MS = 1_775_001_600_000
"""By UTC."""


async def test_all_workers_of_a_fleet_get_the_key_of_who_asks_first(
    redis_url: str, namespace: str
) -> None:
    stores = [RedisStore(redis_url, TIMING, namespace=namespace) for _ in range(4)]
    keys = await asyncio.gather(*(one.month_keys.key_of("202603", 3600) for one in stores))
    assert len(set(keys)) == 1
    assert len(keys[0]) == 32
    other = await stores[0].month_keys.key_of("202604", 3600)
    assert other != keys[0]
    assert await stores[1].month_keys.known() == {"202603": keys[0], "202604": other}
    for one in stores:
        await one.close()


async def test_a_key_is_gone_from_redis_when_its_time_is_over(
    redis_url: str, namespace: str
) -> None:
    store = RedisStore(redis_url, TIMING, namespace=namespace)
    lasting = await store.month_keys.key_of("202604", 3600)
    await store.month_keys.key_of("202603", 0.001)
    async with redis.asyncio.from_url(redis_url) as client:
        assert 0 < await client.pttl(f"{namespace}:month-keys") <= 3_600_000
        await client.hset(f"{namespace}:month-keys", "202601", "no key")
        await wait_until(lambda: _is_one(store), "the end of a key")
        assert await client.hkeys(f"{namespace}:month-keys") == [b"202604"]
        await client.delete(f"{namespace}:month-keys")
        await client.set(f"{namespace}:month-keys", "of another type")
    assert await store.month_keys.key_of("202604", 3600) != lasting
    await store.close()


async def _is_one(store: RedisStore) -> bool:
    return len(await store.month_keys.known()) == 1


async def test_a_file_keeps_a_key_over_a_restart_and_forgets_it_in_time(tmp_path: Path) -> None:
    now = [NOON_MS / 1000]
    path = tmp_path / "state.sqlite"

    def opened() -> SqliteStore:
        return SqliteStore(path, TIMING, wall_clock=lambda: now[0])

    store = opened()
    key = await store.month_keys.key_of("202603", 3600)
    await store.close()
    store = opened()
    assert await store.month_keys.key_of("202603", 3600) == key
    now[0] += 3601
    assert await store.month_keys.known() == {}
    assert await store.month_keys.key_of("202603", 3600) != key
    await store.close()
    assert key.hex().encode() not in path.read_bytes()


async def test_a_person_has_one_hash_in_a_month_and_another_in_the_next(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.sqlite", TIMING)
    hashes = UserHashes(store.month_keys, 400)
    assert hashes.hash_of("lena", NOON_MS) is None, "before its key is known"
    await hashes.learn(NOON_MS)
    one = hashes.hash_of("lena", NOON_MS)
    assert one is not None
    assert one.startswith(f"{month_of(NOON_MS)}:")
    assert len(one) == 7 + 32
    assert hashes.hash_of("lena", NOON_MS + 1000) == one
    assert hashes.hash_of("hugo", NOON_MS) != one
    assert hashes.hash_of("", NOON_MS) is None
    assert hashes.hash_of("lena", END_OF_MARCH_MS - 1) == one
    assert hashes.hash_of("lena", END_OF_MARCH_MS) is None
    await hashes.learn(END_OF_MARCH_MS - 3600_000)
    assert hashes.hash_of("lena", END_OF_MARCH_MS - 1) == one
    following = hashes.hash_of("lena", END_OF_MARCH_MS)
    assert following is not None
    assert following.startswith("202604:")
    again = UserHashes(store.month_keys, 400)
    await again.learn(NOON_MS)
    assert again.hash_of("lena", NOON_MS) == one, "of another worker, too"
    await store.close()


@pytest.mark.parametrize("user", ["lena", "\ud800"])
async def test_without_a_lasting_state_nobody_has_a_hash(user: str) -> None:
    hashes = UserHashes(None, 400)
    await hashes.learn(NOON_MS)
    assert hashes.hash_of(user, NOON_MS) is None


async def test_a_key_outlives_the_loss_of_the_state_with_any_worker_that_has_it(
    redis_url: str, namespace: str
) -> None:
    store = RedisStore(redis_url, TIMING, namespace=namespace)
    hashes, others = UserHashes(store.month_keys, 400), UserHashes(store.month_keys, 400)
    await hashes.learn(NOON_MS)
    before = hashes.hash_of("lena", NOON_MS)
    async with redis.asyncio.from_url(redis_url) as client:
        await client.delete(f"{namespace}:month-keys")
    await hashes.learn(NOON_MS)
    await others.learn(NOON_MS)
    assert hashes.hash_of("lena", NOON_MS) == before
    assert others.hash_of("lena", NOON_MS) == before
    await store.close()


async def test_who_has_another_key_than_the_state_takes_that_of_the_state(tmp_path: Path) -> None:
    store, lost = (SqliteStore(tmp_path / one, TIMING) for one in ("a.sqlite", "b.sqlite"))
    key = await store.month_keys.key_of("202603", 3600)
    held = await lost.month_keys.key_of("202603", 3600)
    assert await store.month_keys.key_of("202603", 3600, held) == key != held
    assert await store.month_keys.key_of("202604", 3600, held) == held
    await store.close()
    await lost.close()


async def test_a_key_that_was_learnt_counts_though_the_next_one_can_not_be_had(
    tmp_path: Path,
) -> None:
    store = SqliteStore(tmp_path / "state.sqlite", TIMING)
    await store.month_keys.known()
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as file:
        file.execute(
            "CREATE TRIGGER full BEFORE INSERT ON facts WHEN NEW.name GLOB '*202604'"
            " BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
    hashes = UserHashes(store.month_keys, 400)
    last_hour_ms = END_OF_MARCH_MS - 3600_000
    assert hashes.hash_of("lena", last_hour_ms) is None, "before its key is known"
    await hashes.learn(last_hour_ms)
    found = hashes.hash_of("lena", last_hour_ms)
    assert found is not None
    assert found.startswith("202603:")
    assert hashes.hash_of("lena", END_OF_MARCH_MS) is None
    await store.close()

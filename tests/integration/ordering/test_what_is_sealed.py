"""What is kept of a choice beside its stamp: sealed, and kept through a change of the secret."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from tests.unit.delivery.records import Worker, choice
from worker.ordering.redis_store import RedisStore
from worker.ordering.sqlite_store import SqliteStore
from worker.ordering.store_protocol import NewestStore, Timing
from worker.ordering.user_digests import UserKeys

FORMER, PRESENT = b"former", b"present"


class Teller:
    """A worker with these secrets at a store."""

    def __init__(self, make: MakeStore, secret: bytes, previous: bytes | None = None) -> None:
        store = make(UserKeys(secret, previous))
        self.worker = Worker(store, secret=secret, previous=previous)
        self.store = store

    async def says(self, minute: int, **purposes: bool) -> Any:
        """The record that Adobe has after a choice."""
        await self.worker.take(choice(minute, bags=None, **purposes))
        return self.worker.adobe.has


MakeStore = Callable[[UserKeys], NewestStore]
TIMING = Timing(60, 1_000)


@pytest.fixture(params=["redis", "sqlite"])
async def make(
    request: pytest.FixtureRequest, redis_url: str, namespace: str, tmp_path: Path
) -> AsyncIterator[MakeStore]:
    made: list[NewestStore] = []

    def store(keys: UserKeys) -> NewestStore:
        one: NewestStore
        if request.param == "redis":
            one = RedisStore(redis_url, TIMING, namespace=namespace, marks=keys.marks)
        else:
            path = tmp_path / "state.sqlite"
            one = SqliteStore(path, TIMING, marks=keys.marks, is_worker=False)
        made.append(one)
        return one

    yield store
    for one in made:
        await one.close()


async def test_a_record_is_completed_in_each_step_of_a_rotation(make: MakeStore) -> None:
    assert await Teller(make, FORMER).says(1, news=True) == {"news": True}
    first = Teller(make, FORMER, PRESENT)
    assert await first.says(2, offers=False) == {"news": True, "offers": False}
    second = Teller(make, PRESENT, FORMER)
    assert await second.says(3, sms=True) == {"news": True, "offers": False, "sms": True}
    assert await first.says(4, sms=False) == {"news": True, "offers": False, "sms": False}
    assert (await second.says(5, sms=True))["sms"]
    last = await Teller(make, PRESENT).says(6, news=False)
    assert last == {"news": False, "offers": False, "sms": True}, "all is sealed anew by then"


async def test_a_secret_that_opens_nothing_is_told(
    redis_url: str, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when a rotation has ended too soon: marks are taken away here, which refuse it."""

    def make(_: UserKeys) -> NewestStore:
        return RedisStore(redis_url, TIMING, namespace=namespace)

    former = Teller(make, FORMER)
    assert await former.says(1, news=True) == {"news": True}
    other = Teller(make, PRESENT)
    other.worker.keys = former.worker.keys
    assert await other.says(2, sms=True) == {"sms": True}
    assert "ordering.unreadable_value" in capsys.readouterr().out
    for one in (former, other):
        await one.store.close()


async def test_a_text_that_an_older_worker_has_left_behind_says_nothing(
    redis_url: str, namespace: str, inspector: redis.asyncio.Redis
) -> None:
    """It writes stamps, and knows nothing of what is beside them."""

    def make(_: UserKeys) -> NewestStore:
        return RedisStore(redis_url, TIMING, namespace=namespace)

    worker = Teller(make, PRESENT)
    await worker.says(1, news=True)
    (key,) = await inspector.keys(f"{namespace}:{{*")
    stamp = await inspector.hget(key, "_acme.news")
    assert isinstance(stamp, bytes)
    await inspector.hset(key, "_acme.news", stamp + b", another")
    assert await worker.says(2, sms=True) == {"sms": True}
    await worker.store.close()


async def test_values_in_the_file_are_sealed(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    worker = Teller(lambda keys: SqliteStore(path, TIMING, marks=keys.marks), PRESENT)
    await worker.says(1, news=True)
    await worker.store.close()
    with closing(sqlite3.connect(path)) as file:
        ((stamps,),) = file.execute("SELECT stamps FROM users").fetchall()
    assert set(json.loads(stamps)) == {"_acme.news", "=_acme.news"}
    assert "consents_purposes" not in stamps
    assert "true" not in stamps

"""Each kind of store, and a look into Redis beside the stores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import redis.asyncio
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from worker.ordering.memory_store import MemoryStore
from worker.ordering.redis_store import RedisStore
from worker.ordering.sqlite_store import SqliteStore
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import Claim, Granted, NewestStore, Settlement, Timing
from worker.ordering.user_digests import UserKeys

TIMING = Timing(lease_seconds=60, retention_seconds=1_000)
FORMER, PRESENT = b"former", b"present"
LENA = ("shop", "personalEmail.address", "lena@northwind.example")
Known = tuple[Mapping[str, Stamp], Mapping[str, str]]
Open = Callable[[UserKeys], NewestStore]


class Wall:
    """A clock that the test moves, in seconds."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
async def open_in(
    redis_url: str, namespace: str, tmp_path: Path, wall: Wall
) -> AsyncIterator[Callable[[str], Open]]:
    """Opens a store of a kind, as who has these secrets; in one file, or one namespace of Redis."""
    made: list[NewestStore] = []

    def open_as(kind: str, keys: UserKeys) -> NewestStore:
        one: NewestStore
        if kind == "memory":
            one = MemoryStore(TIMING, clock=wall)
        elif kind == "sqlite":
            path = tmp_path / "state.sqlite"
            one = SqliteStore(
                path, TIMING, clock=wall, wall_clock=wall, marks=keys.marks, is_worker=False
            )
        else:
            one = RedisStore(redis_url, TIMING, namespace=namespace, marks=keys.marks)
        made.append(one)
        return one

    yield lambda kind: lambda keys: open_as(kind, keys)
    for one in made:
        await one.close()


async def known(store: NewestStore, user: str, *paths: str) -> Known:
    """The stamps that a store has of a user of the shop, and the texts beside them."""
    claimed = paths or ("news",)
    (granted,) = await store.begin("shop", [Claim(user, claimed, claimed)])
    assert isinstance(granted, Granted)
    await store.settle("shop", [Settlement(user, granted.lease, {}, False)], 0)
    return dict(granted.stored), dict(granted.texts)


@pytest.fixture
async def inspector(redis_url: str, namespace: str) -> AsyncIterator[redis.asyncio.Redis]:
    """A client of the same Redis; the keys of the test's `namespace` are gone after it."""
    client = redis.asyncio.Redis.from_url(redis_url)
    yield client
    if keys := await client.keys(f"{namespace}:*"):
        await client.delete(*keys)
    await client.aclose()


def play(machine: Callable[[], RuleBasedStateMachine], examples: int) -> None:
    """Play so many random histories of 40 steps, however long each takes."""
    run_state_machine_as_test(
        # Hypothesis calls it and asks no more, though it declares a class.
        machine,  # type: ignore[arg-type]
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

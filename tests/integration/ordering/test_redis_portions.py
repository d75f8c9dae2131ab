"""Much for many persons goes to Redis in several calls, and is granted and written all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
from redis.asyncio import Redis
from yarl import URL

from devtools.redis_server import RunningRedis, running_redis
from tests.integration.ordering.commands import run
from worker.ordering.redis_store import RedisStore
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import (
    Claim,
    Contended,
    Granted,
    Settlement,
    StoreUnavailable,
    Timing,
)

TIMING = Timing(60, 1_000)
STAMP = Stamp(1, 0, False, "e")
PATHS = [f"_acme.{number}" for number in range(1_000)]
PERSONS = [f"{letter}{number}" for letter in "ab" for number in range(25)]
CLAIMS = [Claim(one, PATHS) for one in PERSONS]
ALLOWED, ALL = "~consent:{shop}:a*", "~consent:*"


@pytest.fixture
def server() -> Iterator[RunningRedis]:
    with running_redis() as started:
        yield started


@pytest.fixture
async def operator(server: RunningRedis) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.url) as client:
        yield client


@pytest.fixture
async def store(server: RunningRedis, operator: Redis) -> AsyncIterator[RedisStore]:
    """Its account may do all, with all keys until `only` says otherwise."""
    await run(operator, "ACL", "SETUSER", "worker", "on", ">secret", ALL, "+@all")
    url = URL(server.url).with_user("worker").with_password("secret")
    made = RedisStore(str(url), TIMING)
    yield made
    await made.close()


async def only(operator: Redis, keys: str) -> None:
    await run(operator, "ACL", "SETUSER", "worker", "resetkeys", keys)


async def calls(operator: Redis) -> int:
    """Of scripts, since the last time that this was asked."""
    stats = await operator.info("commandstats")
    await operator.config_resetstat()
    return int(stats.get("cmdstat_evalsha", {"calls": 0})["calls"])


def settled(answers: Sequence[Granted | Contended]) -> list[Settlement]:
    granted = [one for one in answers if isinstance(one, Granted)]
    assert len(granted) == len(answers), "nobody else holds them"
    written = dict.fromkeys(PATHS, STAMP)
    return [
        Settlement(person, one.lease, written, False)
        for person, one in zip(PERSONS, granted, strict=True)
    ]


async def known(store: RedisStore) -> list[int]:
    """Of how many paths of each person there is a stamp."""
    answers = await store.begin("shop", CLAIMS)
    free = [one._replace(written={}) for one in settled(answers)]
    await store.settle("shop", free, 0)
    return [len(one.stored) for one in answers if isinstance(one, Granted)]


async def test_many_persons_with_a_thousand_mappings_go_in_several_calls(
    store: RedisStore, operator: Redis
) -> None:
    await store.ping()
    await calls(operator)
    answers = await store.begin("shop", CLAIMS)
    assert await calls(operator) == pytest.approx(3, abs=1)
    await store.settle("shop", settled(answers), 0)
    assert await calls(operator) == pytest.approx(6, abs=1)
    assert await known(store) == [len(PATHS)] * len(PERSONS)


async def test_whoever_is_claimed_twice_is_granted_once_also_in_two_calls(
    store: RedisStore,
) -> None:
    answers = await store.begin("shop", [*CLAIMS, CLAIMS[0]])
    assert [type(one) for one in answers] == [Granted] * len(CLAIMS) + [Contended]


async def test_when_one_of_the_calls_fails_nobody_is_held(
    store: RedisStore, operator: Redis
) -> None:
    await store.ping()
    await only(operator, ALLOWED)
    with pytest.raises(StoreUnavailable):
        await store.begin("shop", CLAIMS)
    assert await operator.exists("consent:{shop}:a0:busy"), "the first of the calls was carried out"
    await only(operator, ALL)
    assert await known(store) == [0] * len(PERSONS)


async def test_what_was_settled_in_part_is_settled_again_as_a_whole(
    store: RedisStore, operator: Redis
) -> None:
    settlements = settled(await store.begin("shop", CLAIMS))
    await only(operator, ALLOWED)
    with pytest.raises(StoreUnavailable):
        await store.settle("shop", settlements, 0)
    await only(operator, ALL)
    (again,) = await store.begin("shop", CLAIMS[-1:])
    assert isinstance(again, Contended), "who is not settled is held"
    await store.settle("shop", settlements, 0)
    assert await known(store) == [len(PATHS)] * len(PERSONS)

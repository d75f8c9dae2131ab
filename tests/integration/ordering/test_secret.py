"""The secret of the digests: required where nothing is yet, and changed without forgetting."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.asyncio
from structlog.testing import capture_logs

from devtools.ports import free_port
from devtools.redis_server import running_redis
from devtools.stack import Stack
from devtools.waiting import wait_until
from worker.delivery.rounds.store_gate import StoreGate
from worker.ordering.redis_store import RedisStore
from worker.ordering.secret_marks import GUESSABLE, SecretRefused
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import (
    Claim,
    Contended,
    Granted,
    Settlement,
    StoreUnavailable,
    Timing,
)
from worker.ordering.user_digests import UserKeys, both_digests

TIMING = Timing(lease_seconds=60, retention_seconds=1_000)
FORMER, PRESENT = b"former", b"present"
LENA = ("shop", "personalEmail.address", "lena@northwind.example")


class Worker:
    """One worker's store, under its secrets."""

    def __init__(
        self, url: str, namespace: str, secret: bytes, previous: bytes | None = None
    ) -> None:
        self.url = url
        self.keys = UserKeys(secret, previous)
        self.user = self.keys.user_key(*LENA)
        self.store = RedisStore(url, TIMING, namespace=namespace, marks=self.keys.marks)

    async def begin(self) -> Granted | Contended:
        (answer,) = await self.store.begin("shop", [Claim(self.user, ("news",))])
        return answer

    async def deliver(self, stamp: Stamp) -> bool:
        """Whether the choice is news, and so sent and accepted."""
        answer = await self.begin()
        assert isinstance(answer, Granted)
        is_news = stamp > answer.stored.get("news", Stamp(0, 0, False, ""))
        written = {"news": stamp} if is_news else {}
        await self.store.settle("shop", [Settlement(self.user, answer.lease, written, is_news)], 0)
        return is_news


MakeWorker = Callable[..., Worker]


@pytest.fixture
async def worker(redis_url: str, namespace: str) -> AsyncIterator[MakeWorker]:
    made: list[Worker] = []

    def make(secret: bytes, previous: bytes | None = None) -> Worker:
        made.append(Worker(redis_url, namespace, secret, previous))
        return made[-1]

    yield make
    for one in made:
        await one.store.close()


def stamp(time_ms: int) -> Stamp:
    return Stamp(time_ms, 0, False, f"ev-{time_ms}")


async def test_a_new_namespace_without_a_secret_is_refused(
    worker: MakeWorker, inspector: redis.asyncio.Redis, namespace: str
) -> None:
    for one in (worker(b""), worker(b"", PRESENT)):
        with pytest.raises(SecretRefused, match="openssl rand -hex 32"):
            await one.store.admit()
        with pytest.raises(StoreUnavailable, match="CONSENT_WORKER_ORDERING_SECRET"):
            await one.begin()
        with pytest.raises(StoreUnavailable):
            await one.store.ping()
        with pytest.raises(StoreUnavailable):
            await one.store.remember_integrations(["org"], 60)
    assert await inspector.keys(f"{namespace}:*") == [], "or the next one would be no new one"


@pytest.mark.parametrize("what", ["a stamp", "an organization"])
async def test_an_old_namespace_without_a_secret_goes_on_and_is_told(
    worker: MakeWorker, inspector: redis.asyncio.Redis, namespace: str, what: str
) -> None:
    if what == "a stamp":
        await inspector.hset(f"{namespace}:{{shop}}:digest", "news", "1n1")
    else:
        await inspector.zadd(f"{namespace}:organizations", {"org": 1e12})
    old = worker(b"")
    with capture_logs() as lines:
        assert await old.deliver(stamp(1))
        assert not await old.deliver(stamp(1))
    assert [one["event"] for one in lines] == ["ordering.guessable_digests"], "once"
    assert old.store.digests_are_guessable
    keyed = worker(PRESENT, b"")
    assert not await keyed.deliver(stamp(1)), "the stamp is known"
    assert not keyed.store.digests_are_guessable


async def test_another_secret_is_refused_unless_the_former_one_is_known(
    worker: MakeWorker, inspector: redis.asyncio.Redis
) -> None:
    assert await worker(FORMER).deliver(stamp(2))
    for one in (worker(PRESENT), worker(b""), worker(PRESENT, b"a third")):
        with pytest.raises(SecretRefused, match="ORDERING_SECRET_PREVIOUS"):
            await one.store.admit()
        with pytest.raises(StoreUnavailable):
            await one.begin()
    assert not await worker(PRESENT, FORMER).deliver(stamp(1))
    assert await worker(PRESENT).deliver(stamp(3)), "what was moved is known without it"
    with pytest.raises(SecretRefused):
        await worker(FORMER).store.admit()


async def test_a_worker_of_the_first_step_that_starts_again_turns_nothing_back(
    worker: MakeWorker,
) -> None:
    """It may crash in the middle of the second; after it the former secret alone is refused."""
    await worker(FORMER).store.admit()
    await worker(FORMER, PRESENT).store.admit()
    await worker(PRESENT, FORMER).store.admit()
    await worker(FORMER, PRESENT).store.admit()
    await worker(PRESENT).store.admit()
    with pytest.raises(SecretRefused):
        await worker(FORMER).store.admit()


async def test_what_is_found_under_the_former_secret_is_moved(
    worker: MakeWorker, inspector: redis.asyncio.Redis, namespace: str
) -> None:
    former, rotating = worker(FORMER), worker(PRESENT, FORMER)
    assert await former.deliver(stamp(2))
    assert not await rotating.deliver(stamp(1))
    digest, other = both_digests(rotating.user)
    assert other == former.user
    assert await inspector.keys(f"{namespace}:{{shop}}:*") == [
        f"{namespace}:{{shop}}:{digest}".encode()
    ]
    assert await inspector.hgetall(f"{namespace}:{{shop}}:{digest}") == {b"news": b"2+ev-2"}
    assert await inspector.pttl(f"{namespace}:{{shop}}:{digest}") > 900_000
    assert not await worker(PRESENT).deliver(stamp(2))


@pytest.mark.parametrize(
    ("hostile", "is_news"), [("list", True), ("text", True), ("unreadable", True), ("huge", False)]
)
async def test_what_can_not_be_read_under_the_former_secret_harms_nobody(
    worker: MakeWorker, inspector: redis.asyncio.Redis, namespace: str, hostile: str, is_news: bool
) -> None:
    rotating = worker(PRESENT, FORMER)
    key = f"{namespace}:{{shop}}:{both_digests(rotating.user)[1]}"
    fill: dict[str, Any] = {
        "list": lambda: inspector.rpush(key, "x"),
        "text": lambda: inspector.set(key, "x"),
        "unreadable": lambda: inspector.hset(key, "news", "never"),
        "huge": lambda: inspector.hset(
            key, mapping={**dict.fromkeys(range(6000), "1+e"), "news": "9+e"}
        ),
    }
    await fill[hostile]()
    assert await rotating.deliver(stamp(2)) is is_news
    assert not await rotating.deliver(stamp(1))


async def test_who_knows_both_secrets_excludes_who_knows_one(worker: MakeWorker) -> None:
    """In each step of a rotation, whichever of the two workers is first."""
    steps = [worker(FORMER), worker(FORMER, PRESENT), worker(PRESENT, FORMER)]
    for first, second in ((0, 1), (1, 0), (1, 2), (2, 1), (0, 2), (2, 0)):
        answer = await steps[first].begin()
        assert isinstance(answer, Granted)
        assert isinstance(await steps[second].begin(), Contended), (first, second)
        ended = Settlement(steps[first].user, answer.lease, {}, True)
        await steps[first].store.settle("shop", [ended], 30)
        cooling = await steps[second].begin()
        assert isinstance(cooling, Contended), "the gap holds for both"
        assert not cooling.is_held
        await _free(steps[first])


async def _free(one: Worker) -> None:
    keys, _ = one.store._keys("shop", [one.user])
    async with redis.asyncio.Redis.from_url(one.url) as client:
        await client.delete(*keys)


@pytest.mark.parametrize("former", [FORMER, b""])
async def test_no_older_choice_wins_in_any_step_of_a_rotation(
    worker: MakeWorker, inspector: redis.asyncio.Redis, namespace: str, former: bytes
) -> None:
    """Each step has a fleet of two settings; choices come shuffled, to any of the workers."""
    await inspector.hset(f"{namespace}:{{shop}}:somebody", "news", "1+e")
    zero, one = worker(former), worker(former, PRESENT)
    two, three = worker(PRESENT, former), worker(PRESENT)
    chance = random.Random(7)
    newest = time_ms = 0
    for fleet in ((zero,), (zero, one), (one,), (one, two), (two,), (two, three)):
        times = list(range(time_ms + 1, time_ms + 21))
        time_ms += 20
        chance.shuffle(times)
        for at in times:
            is_news = await chance.choice(fleet).deliver(stamp(at))
            assert is_news == (at > newest)
            newest = max(newest, at)


async def test_a_redis_that_is_away_at_the_start_is_asked_when_it_is_back(namespace: str) -> None:
    with running_redis() as server:
        marks = UserKeys(b"").marks
        store = RedisStore(server.url, TIMING, namespace=namespace, marks=marks)
        server.kill()
        with pytest.raises(StoreUnavailable) as away:
            await store.admit()
        gate = StoreGate(store)
        gate.close(away.value)
        server.start()
        await wait_until(lambda: "openssl rand" in gate.problem, "the refusal")
        assert not gate.is_open
        await gate.stop()


async def test_a_worker_says_what_to_do_about_its_secret(
    redis_url: str, inspector: redis.asyncio.Redis, namespace: str
) -> None:
    """No broker is needed for that."""
    nowhere = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    async with Stack(nowhere, namespace, STATE_URL=redis_url, ORDERING_SECRET="") as stack:
        stack.add_integration("shop")
        code, _, err = await stack.command("run")
        assert code == 2
        assert "setting CONSENT_WORKER_ORDERING_SECRET: is required for a new namespace" in err
        assert "openssl rand -hex 32" in err
        await inspector.hset(f"{namespace}:{{shop}}:digest", "news", "1n1")
        stack.start_worker()
        await wait_until(lambda: "worker.started" in stack.log_text(), "the worker")
        (line,) = [
            one for one in stack.log_entries() if one["event"] == "ordering.guessable_digests"
        ]
        assert (line["level"], line["detail"]) == ("error", GUESSABLE)
        assert GUESSABLE in json.loads((await stack.get("/readyz"))[1])["notes"]


async def test_the_mark_is_written_again_after_a_loss_of_all_data(
    worker: MakeWorker, inspector: redis.asyncio.Redis, namespace: str
) -> None:
    """Or one that comes with another secret would be taken for the first, and find no stamp."""
    first = worker(PRESENT)
    await first.store.ping()
    await inspector.delete(f"{namespace}:digests")
    await first.store.ping()
    with pytest.raises(SecretRefused):
        await worker(b"another").store.admit()
    await worker(PRESENT).store.admit()

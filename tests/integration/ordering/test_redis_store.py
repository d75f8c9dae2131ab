"""The store in a real Redis: leases, stamps, and what is in the database."""

from __future__ import annotations

import asyncio
import random
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from devtools.ports import free_port
from devtools.redis_server import running_redis
from devtools.waiting import wait_until
from tests.integration.ordering.commands import run
from worker.ordering.redis_store import RedisStore
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import (
    UNCLEAR,
    Claim,
    Contended,
    Granted,
    Settlement,
    StoreUnavailable,
    Timing,
)
from worker.ordering.user_digests import UserKeys

OLD, NEW = Stamp(1, 0, False, "e1"), Stamp(2, 0, False, "e2")
LONG = Timing(lease_seconds=60, retention_seconds=1_000)
GAP = 30
MakeStore = Callable[..., RedisStore]


@pytest.fixture
async def make_store(redis_url: str, namespace: str) -> AsyncIterator[MakeStore]:
    """Makes stores of one fleet; each is another worker."""
    made: list[RedisStore] = []

    def make(timing: Timing = LONG, url: str = redis_url, **options: Any) -> RedisStore:
        made.append(RedisStore(url, timing, **({"namespace": namespace} | options)))
        return made[-1]

    yield make
    for store in made:
        await store.close()


async def begin(store: RedisStore, user: str = "lena", *attributes: str) -> Granted | Contended:
    (answer,) = await store.begin("shop", [Claim(user, attributes or ("news",))])
    return answer


async def lease(store: RedisStore, user: str = "lena") -> int:
    answer = await begin(store, user)
    assert isinstance(answer, Granted)
    return answer.lease


async def stored(store: RedisStore, *attributes: str) -> dict[str, Stamp]:
    answer = await begin(store, "lena", *attributes)
    assert isinstance(answer, Granted)
    await store.settle("shop", [Settlement("lena", answer.lease, {}, False)], GAP)
    return dict(answer.stored)


async def is_granted(store: RedisStore) -> bool:
    return isinstance(await begin(store), Granted)


async def test_what_one_worker_wrote_another_reads(make_store: MakeStore) -> None:
    one, other = make_store(), make_store()
    await one.settle(
        "shop", [Settlement("lena", await lease(one), {"news": NEW, "offers": OLD}, False)], GAP
    )
    assert await stored(other, "news", "tier") == {"news": NEW}


async def test_nothing_is_asked_for_nothing(make_store: MakeStore) -> None:
    nowhere = make_store(url="redis://127.0.0.1:1/0")
    assert await nowhere.begin("shop", []) == []
    await nowhere.settle("shop", [], GAP)


async def test_a_lease_that_ran_out_is_anybodys(make_store: MakeStore) -> None:
    brief = make_store(Timing(lease_seconds=0.5))
    other = make_store()
    late = await lease(brief)
    assert await begin(other) == Contended(about(0.25, 0.25), is_held=True)
    granted: list[Granted | Contended] = []

    async def is_taken() -> bool:
        granted[:] = [await begin(other)]
        return isinstance(granted[0], Granted)

    await wait_until(is_taken, "the lease has run out")
    for sent in (False, True):
        await brief.settle("shop", [Settlement("lena", late, {"news": NEW}, sent)], GAP)
        answer = await begin(make_store())
        assert answer == Contended(about(60, 5), is_held=True)
    assert isinstance(granted[0], Granted)
    await other.settle("shop", [Settlement("lena", granted[0].lease, {"news": OLD}, False)], GAP)
    assert await stored(other) == {"news": NEW}, "what was accepted late counts all the same"


async def test_after_a_message_the_user_cools_down_for_everybody(make_store: MakeStore) -> None:
    one, other = make_store(), make_store()
    await one.settle("shop", [Settlement("lena", await lease(one), {}, True)], 0.5)
    for store in (one, other):
        assert await begin(store) == Contended(about(0.25, 0.25), is_held=False)
    await wait_until(lambda: is_granted(other), "the gap has passed")


async def test_another_message_makes_the_cooling_down_start_anew(make_store: MakeStore) -> None:
    """It was sent by a lease that ran out, while another message was accepted and settled."""
    brief, long = make_store(), make_store()
    number = await lease(brief)
    await brief.settle("shop", [Settlement("lena", number, {}, True)], 1)
    await long.settle("shop", [Settlement("lena", 1, {}, True)], GAP)
    assert await begin(brief) == Contended(about(30, 5), is_held=False)


async def test_stamps_expire_and_leave_nothing_behind(
    make_store: MakeStore, inspector: redis.asyncio.Redis, namespace: str
) -> None:
    store = make_store(Timing(lease_seconds=0.05, retention_seconds=1))
    await store.settle("shop", [Settlement("lena", await lease(store), {"news": NEW}, True)], 0.05)
    assert await inspector.exists(f"{namespace}:{{shop}}:lena")

    async def is_empty() -> bool:
        return await inspector.keys(f"{namespace}:*") == []

    await wait_until(is_empty, "everything has expired")
    assert await stored(store) == {}


async def test_one_of_many_is_granted(make_store: MakeStore) -> None:
    workers = [make_store() for _ in range(4)]
    answers = await asyncio.gather(*(begin(worker) for worker in workers for _ in range(5)))
    assert sum(isinstance(one, Granted) for one in answers) == 1


async def test_the_newest_of_many_that_settle_at_once_stays(make_store: MakeStore) -> None:
    workers = [make_store() for _ in range(4)]
    history = [Stamp(i // 3, i % 3, i % 2 == 0, f"e{i}") for i in range(40)]
    random.Random(7).shuffle(history)
    await asyncio.gather(
        *(
            workers[i % 4].settle("shop", [Settlement("lena", i, {"news": one}, False)], GAP)
            for i, one in enumerate(history)
        )
    )
    assert await stored(workers[0]) == {"news": max(history)}


close_stamps = st.builds(
    Stamp,
    st.integers(-2, 2) | st.integers(-(10**14), 1_780_000_000_000),
    st.integers(0, 1),
    st.booleans(),
    st.text("aAbB_éß\x00\n\uffff\U00010000\ud800", max_size=3),
)


@settings(deadline=None)
@given(pair=st.tuples(close_stamps, close_stamps))
def test_redis_orders_stamps_as_python_does(redis_url: str, pair: tuple[Stamp, Stamp]) -> None:
    """Many pairs that differ only in their ids are among them."""
    first, second = pair
    twins = (first, first._replace(event_id=second.event_id))

    async def check() -> None:
        store = RedisStore(redis_url, Timing(60, 100), namespace=f"t{uuid.uuid4().hex}")
        users = ["pair", "riap", "twins", "sniwt"]
        orders = [(first, second), (second, first), twins, twins[::-1]]
        for place in (0, 1):
            await store.settle(
                "shop",
                [
                    Settlement(user, 0, {"news": order[place]}, False)
                    for user, order in zip(users, orders, strict=True)
                ],
                GAP,
            )
        answers = await store.begin("shop", [Claim(user, ["news"]) for user in users])
        assert [one.stored["news"] for one in answers if isinstance(one, Granted)] == [
            max(order) for order in orders
        ]
        await store.close()

    asyncio.run(check())


async def test_a_late_call_of_the_same_owner_takes_nothing(
    inspector: redis.asyncio.Redis, namespace: str
) -> None:
    """A begin that was given up may still be carried out after the one that replaced it."""
    script = files("worker.ordering").joinpath("begin.lua").read_text()
    keys = [f"{namespace}:{{shop}}:lena", f"{namespace}:{{shop}}:lena:busy"]

    async def call(number: int) -> Any:
        return await inspector.eval(script, 2, *keys, "me", number, 60_000, 0)

    assert await call(6) == [[1]]
    assert await call(5) == [[0, pytest.approx(60_000, abs=5_000), 1]]
    assert await call(7) == [[1]]
    assert await inspector.get(keys[1]) == b"me 7"


async def test_a_begin_that_was_cancelled_holds_nothing(make_store: MakeStore) -> None:
    store = make_store()
    waiting = asyncio.create_task(begin(store))
    await asyncio.sleep(0)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    assert isinstance(await begin(store), Granted)


async def test_users_who_were_never_settled_are_forgotten(make_store: MakeStore) -> None:
    now = 0.0
    store = make_store(clock=lambda: now)
    await store.begin("shop", [Claim(f"user-{i}", ["news"]) for i in range(50)])
    now = 61.0
    await lease(store)
    assert len(store._held) == 1


async def test_scripts_are_sent_again_to_a_redis_that_lost_them(
    make_store: MakeStore, inspector: redis.asyncio.Redis
) -> None:
    store = make_store()
    number = await lease(store)
    await inspector.script_flush()
    await store.settle("shop", [Settlement("lena", number, {"news": NEW}, False)], GAP)
    await inspector.script_flush()
    assert await stored(store) == {"news": NEW}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"lena@northwind.example", id="text"),
        pytest.param(b"\xff\xfe\x00", id="bytes"),
        pytest.param(b"1." + b"7" * 20 + b"+x", id="an update beyond any time"),
        pytest.param(b"1+" + b"x" * 2000, id="longer than any"),
        pytest.param(b"", id="empty"),
        pytest.param(b"9" * 40 + b"+x", id="beyond any time"),
        pytest.param(b"4102444800000+x", id="of the far future"),
        pytest.param(b"1.2.3+x", id="nearly one"),
    ],
)
async def test_a_value_that_cannot_be_read_counts_as_unknown_and_is_replaced(
    make_store: MakeStore, inspector: redis.asyncio.Redis, namespace: str, value: bytes
) -> None:
    await inspector.hset(f"{namespace}:{{shop}}:lena", "news", value)
    store = make_store()
    (granted,) = await store.begin("shop", [Claim("lena", ["news"])])
    assert isinstance(granted, Granted)
    assert granted.is_damaged, "so that nobody takes it for a person of whom nothing is known"
    number = granted.lease
    assert store.unreadable_values == 1
    await store.settle("shop", [Settlement("lena", number, {"news": NEW}, False)], GAP)
    assert await stored(store) == {"news": NEW}


async def test_the_log_names_whom_it_concerns_where_no_digest_can_be_guessed(
    make_store: MakeStore,
    inspector: redis.asyncio.Redis,
    namespace: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await inspector.hset(f"{namespace}:{{shop}}:lena", "news", "nothing")
    for store, is_named in (
        (make_store(), False),
        (make_store(marks=UserKeys(b"a secret").marks), True),
    ):
        number = await lease(store)
        await store.settle("shop", [Settlement("lena", number, {}, False)], 0)
        out = capsys.readouterr().out
        assert "ordering.unreadable_value" in out
        assert ("lena" in out) is is_named


@pytest.mark.parametrize("kind", ["string", "list", "set", "zset"])
async def test_a_key_of_another_type_counts_as_unknown_and_stops_no_other_user(
    make_store: MakeStore, inspector: redis.asyncio.Redis, namespace: str, kind: str
) -> None:
    for key in (f"{namespace}:{{shop}}:lena", f"{namespace}:{{shop}}:ole:busy"):
        match kind:
            case "string":
                await inspector.set(key, "9 not a lease")
            case "list":
                await inspector.rpush(key, "x")
            case "set":
                await inspector.sadd(key, "x")
            case _:
                await inspector.zadd(key, {"x": 1})
    store = make_store()
    answers = await store.begin("shop", [Claim(one, ["news"]) for one in ("lena", "ole", "mia")])
    assert store.unreadable_values == 1
    granted = [one for one in answers if isinstance(one, Granted)]
    assert [one.is_damaged for one in granted] == [True, False, False]
    names = ("lena", "ole", "mia")
    settlements = [
        Settlement(name, one.lease, {"news": NEW}, False)
        for name, one in zip(names, granted, strict=True)
    ]
    await store.settle("shop", settlements, 0)
    for name in names:
        (again,) = await store.begin("shop", [Claim(name, ["news"])])
        assert isinstance(again, Granted)
        assert again.stored == {"news": NEW}


DOCUMENTED = re.search(r"-@all ([^`]*)`", Path("docs/ordering.md").read_text())


def about(seconds: float, tolerance: float) -> Any:
    """Equal to what is so near; stands where a time is compared."""
    return pytest.approx(seconds, abs=tolerance)


@pytest.fixture
async def limited(
    redis_url: str, inspector: redis.asyncio.Redis, namespace: str
) -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """Makes a user of Redis with these rights; its URL. One of its own: tests share the server."""
    user = f"limited-{namespace}"

    async def make(*rights: str) -> str:
        await run(inspector, "ACL", "SETUSER", user, "reset", "on", ">hush", "~*", "-@all", *rights)
        return str(URL(redis_url).with_user(user).with_password("hush"))

    yield make
    await run(inspector, "ACL", "DELUSER", user)


async def test_the_documented_rights_are_enough(
    limited: Callable[..., Awaitable[str]], namespace: str
) -> None:
    assert DOCUMENTED is not None
    store = RedisStore(
        await limited(*DOCUMENTED.group(1).split()), Timing(60, 100), namespace=namespace
    )
    number = await lease(store)
    await store.settle("shop", [Settlement("lena", number, {"news": NEW}, True)], GAP)
    await store.remember_integrations(["org"], 60)
    assert await store.remembered_integrations() == {"org"}
    await store.ping()
    assert (await store.epochs.look(["0" * 16])).open_losses
    await store.close()


@pytest.mark.parametrize("denied", ["hmget", "get"])
async def test_a_refused_command_is_no_unknown_state(
    make_store: MakeStore,
    limited: Callable[..., Awaitable[str]],
    inspector: redis.asyncio.Redis,
    namespace: str,
    denied: str,
) -> None:
    """An older choice would else replace a newer one, and two workers would hold one user."""
    whole = make_store()
    number = await lease(whole)
    await whole.settle("shop", [Settlement("lena", number, {"news": NEW}, False)], 0)
    assert DOCUMENTED is not None
    rights = [one for one in DOCUMENTED.group(1).split() if one != f"+{denied}"]
    store = RedisStore(await limited(*rights), Timing(60, 100), namespace=namespace)
    with pytest.raises(StoreUnavailable):
        await begin(store)
    with pytest.raises(StoreUnavailable):
        await store.settle("shop", [Settlement("lena", 1, {"news": OLD}, False)], GAP)
    assert await inspector.hget(f"{namespace}:{{shop}}:lena", "news") == NEW.encode().encode()
    await store.close()


async def test_thousands_of_attributes_fit_in_one_call(make_store: MakeStore) -> None:
    store = make_store()
    written = {f"_acme.{number}": NEW for number in range(4500)}
    (granted,) = await store.begin("shop", [Claim("lena", list(written))])
    assert isinstance(granted, Granted)
    await store.settle("shop", [Settlement("lena", granted.lease, written, False)], 0)
    (again,) = await store.begin("shop", [Claim("lena", list(written))])
    assert isinstance(again, Granted)
    assert again.stored == written


async def test_a_settlement_that_comes_late_takes_no_mark_of_others_away(
    make_store: MakeStore,
) -> None:
    """Its worker was cut from Redis after that had carried it out, and says it again."""
    one, other = make_store(), make_store()
    marked = {UNCLEAR: Stamp(60_000, 500, False, "newer")}
    late = Settlement("lena", await lease(one), marked, True)
    await one.settle("shop", [late], 0)
    oldest = Stamp(60_000, 200, False, "oldest")
    marked = {UNCLEAR: oldest}
    await other.settle("shop", [Settlement("lena", await lease(other), marked, True)], 0)
    await one.settle("shop", [late], 0)
    assert (await stored(other, UNCLEAR))[UNCLEAR][1:] == oldest[1:]


async def test_integrations_are_remembered_for_all_workers_and_for_a_time(
    make_store: MakeStore, inspector: redis.asyncio.Redis, namespace: str
) -> None:
    await inspector.set(f"{namespace}:integrations", "of another type")
    one, other = make_store(), make_store()
    await one.remember_integrations(["org-a", "org-b", "x" * 2049], 60)
    await one.remember_integrations([], 60)
    assert await other.remembered_integrations() == {"org-a", "org-b"}
    await inspector.zadd(f"{namespace}:integrations", {"org-a": 1})
    assert await other.remembered_integrations() == {"org-b"}


async def test_keys_and_values_are_as_documented(
    make_store: MakeStore, inspector: redis.asyncio.Redis, namespace: str
) -> None:
    store = make_store()
    number = await lease(store)
    busy = await inspector.get(f"{namespace}:{{shop}}:lena:busy")
    assert isinstance(busy, bytes)
    assert busy.endswith(b" %d" % number)
    written = {"news": Stamp(1_700_000_000_000, 0, True, "0-1"), "é": Stamp(5, 7, False, "n")}
    await store.settle("shop", [Settlement("lena", number, written, True)], GAP)
    assert await inspector.hgetall(f"{namespace}:{{shop}}:lena") == {
        b"news": b"1700000000000n0-1",
        "é".encode(): b"5.7+n",
    }
    assert await inspector.get(f"{namespace}:{{shop}}:lena:busy") == b""


async def test_one_call_stays_on_one_node_of_a_cluster() -> None:
    options = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with running_redis(options=options) as server:
        async with redis.asyncio.Redis.from_url(server.url) as client:
            await run(client, "CLUSTER", "ADDSLOTSRANGE", 0, 16383)

            async def is_up() -> bool:
                info = await run(client, "CLUSTER", "INFO")
                return b"cluster_state:ok" in info

            await wait_until(is_up, "the cluster is up")
        store = RedisStore(server.url, LONG)
        claims = [Claim(f"user-{i}", ["news"]) for i in range(50)]
        answers = await store.begin("shop", claims)
        await store.settle(
            "shop",
            [
                Settlement(claim.user, answer.lease, {"news": NEW}, True)
                for claim, answer in zip(claims, answers, strict=True)
                if isinstance(answer, Granted)
            ],
            GAP,
        )
        await store.close()


async def test_a_redis_without_memory_is_unavailable() -> None:
    with running_redis(options=("--maxmemory", "1")) as server:
        store = RedisStore(server.url, LONG)
        with pytest.raises(StoreUnavailable, match="Redis is out of memory"):
            await begin(store)
        with pytest.raises(StoreUnavailable, match="Redis is out of memory"):
            await store.settle("shop", [Settlement("lena", 1, {"news": NEW}, False)], GAP)
        await store.close()

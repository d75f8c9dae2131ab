"""The store on a real Redis Cluster, with a master that is away, is replaced or was emptied."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from devtools.native_redis import NativeRedis
from devtools.native_redis_cluster import NativeRedisCluster
from devtools.waiting import wait_until
from worker.delivery.rounds.store_gate import StoreGate
from worker.ordering.lasting_store import WrongKindOfRedis
from worker.ordering.redis_slots import SLOTS, slot_of
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
from worker.ordering.user_digests import UserKeys

TIMING = Timing(60, 1000)
TIMEOUT = 0.5
SHOPS = [f"shop-{number}" for number in range(12)]
STAMP = Stamp(1_700_000_000_000, 0, False, "e1")
_PAGE = Path("docs/ordering.md").read_text()
(OF_ONE_SERVER,) = re.findall(r"-@all ([^`]*)`", _PAGE)
(OF_A_CLUSTER,) = re.findall(r"`(\+cluster\|slots [^`]*)`", _PAGE)
Open = Callable[..., RedisStore]


@pytest.fixture
async def open_store(redis_cluster: NativeRedisCluster, namespace: str) -> AsyncIterator[Open]:
    made: list[RedisStore] = []

    def make(**options: Any) -> RedisStore:
        url = options.pop("url", redis_cluster.url)
        ours: dict[str, Any] = {"namespace": namespace, "timeout_seconds": TIMEOUT}
        made.append(RedisStore(url, TIMING, **(ours | options)))
        return made[-1]

    yield make
    for store in made:
        await store.close()


@pytest.fixture
def away(redis_cluster: NativeRedisCluster) -> Iterator[NativeRedis]:
    """A master that a test may do anything with; all of it is mended after the test."""
    master = redis_cluster.masters[1]
    yield master
    master.go_on()
    if master._process is None:
        master.start()
    redis_cluster.wait_until_whole(redis_cluster.masters)


async def is_granted(store: RedisStore, state_id: str) -> bool:
    (answer,) = await store.begin(state_id, [Claim(uuid4().hex, ["news"])])
    return isinstance(answer, Granted)


async def remember(store: RedisStore, state_id: str, user: str = "lena") -> None:
    (granted,) = await store.begin(state_id, [Claim(user, ["news"])])
    assert isinstance(granted, Granted)
    written = Settlement(user, granted.lease, {"news": STAMP}, False)
    await store.settle(state_id, [written], 0)


async def known(store: RedisStore, state_id: str, user: str = "lena") -> Stamp | None:
    (granted,) = await store.begin(state_id, [Claim(user, ["news"])])
    assert isinstance(granted, Granted)
    await store.settle(state_id, [Settlement(user, granted.lease, {}, False)], 0)
    return granted.stored.get("news")


async def is_there(store: RedisStore, part: str) -> bool:
    try:
        await store.ping(part)
    except StoreUnavailable:
        return False
    return True


def address(node: NativeRedis) -> str:
    return f"127.0.0.1:{node.port}"


async def test_each_integration_is_at_one_master_and_what_all_share_at_one(
    open_store: Open, redis_cluster: NativeRedisCluster, namespace: str
) -> None:
    store = open_store(marks=UserKeys(b"a secret").marks)
    await store.ping(store.shared_part)
    assert set(store.parts) == {address(one) for one in redis_cluster.masters}
    for shop in SHOPS:
        await remember(store, shop)
        master = redis_cluster.master_of(f"{{{shop}}}")
        assert store.part_of(shop) == address(master)
        with Redis.from_url(master.url) as client:
            assert client.keys(f"{namespace}:{{{shop}}}:lena"), shop
    await store.epochs.look([])
    await store.inlets.keep("shop-1", "a note")
    assert await store.state_ids.write({"shop-1": "x"}, 0)
    await store.remember_integrations(["shop-1"], 100)
    await store.month_keys.key_of("202603", 100)
    names = {"digests", "epoch", "inlets", "states", "integrations", "month-keys", "witnesses"}
    with Redis.from_url(redis_cluster.master_of("{~}").url) as client:
        shared = {key.decode().rpartition(":")[2] for key in client.keys(f"{namespace}:{{~}}:*")}
    assert names == shared
    assert await store.inlets.kept(["shop-1"]) == {"shop-1": "a note"}
    assert await store.remembered_integrations() == {"shop-1"}


@pytest.mark.parametrize("blow", ["kill", "stall"])
async def test_a_master_that_is_away_concerns_its_own_integrations_alone(
    open_store: Open, away: NativeRedis, redis_cluster: NativeRedisCluster, blow: str
) -> None:
    store = open_store()
    for shop in SHOPS:
        await remember(store, shop)
    theirs = [shop for shop in SHOPS if store.part_of(shop) == address(away)]
    others = [shop for shop in SHOPS if shop not in theirs]
    assert theirs
    assert others
    getattr(away, blow)()
    began = time.monotonic()
    asked = [asyncio.create_task(is_granted(store, shop)) for shop in theirs]
    for _ in range(20):
        assert all(await asyncio.gather(*(is_granted(store, shop) for shop in others)))
    for one in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(one, StoreUnavailable)
        assert f"Redis at {address(away)} " in str(one)
    assert time.monotonic() - began < 60, "nobody has waited for ever"
    assert not await is_there(store, address(away))
    away.go_on() if blow == "stall" else away.start()
    await wait_until(lambda: is_there(store, address(away)), "the master", 30)
    for shop in SHOPS:
        assert await known(store, shop) == STAMP


@pytest.mark.parametrize("which", ["with the epoch", "another"])
async def test_a_master_that_has_lost_its_data_is_noticed_once_also_by_those_who_start_later(
    open_store: Open, redis_cluster: NativeRedisCluster, which: str
) -> None:
    lost = _master(redis_cluster, which)
    workers = [open_store(), open_store()]
    before = await workers[0].epochs.look([])
    assert await workers[1].epochs.look([]) == before
    assert before.losses == ()
    lost.kill()
    assert not await is_there(workers[0], address(lost))
    unasked = frozenset((address(lost),))
    nothing_new = before._replace(unasked=unasked)
    assert await workers[0].epochs.look([]) == nothing_new, "nothing shows it yet"
    shutil.rmtree(lost.home / "appendonlydir")
    lost.start()
    redis_cluster.wait_until_whole(redis_cluster.masters)
    workers.append(open_store())
    for worker in workers:
        await wait_until(partial(is_there, worker, address(lost)), "it", 30)
    after = [await worker.epochs.look([before.present]) for worker in workers]
    assert after[0] == after[1] == after[2]
    assert after[0].present != before.present
    assert [one.epoch for one in after[0].open_losses] == [before.present]
    await workers[0].epochs.accept([before.present])
    for worker in workers:
        now = await worker.epochs.look([])
        assert (now.present, now.open_losses) == (after[0].present, ())


@pytest.mark.parametrize("which", ["with the epoch", "another"])
async def test_a_master_that_was_emptied_is_noticed_by_all_at_once(
    open_store: Open, redis_cluster: NativeRedisCluster, which: str
) -> None:
    workers = [open_store() for _ in range(5)]
    before = await workers[0].epochs.look([])
    redis_cluster.ask(_master(redis_cluster, which), "FLUSHALL")
    after = await asyncio.gather(*(one.epochs.look([before.present]) for one in workers))
    last = await workers[0].epochs.look([])
    assert [one.epoch for one in last.open_losses] == [before.present], "one loss, and no more"
    assert {one.present for one in after} == {last.present}


def _master(cluster: NativeRedisCluster, which: str) -> NativeRedis:
    shared = cluster.master_of("{~}")
    others = [one for one in cluster.masters if one is not shared]
    return shared if which == "with the epoch" else others[0]


async def test_while_the_master_with_the_epoch_is_away_the_last_known_one_stands(
    open_store: Open, redis_cluster: NativeRedisCluster
) -> None:
    store = open_store()
    before = await store.epochs.look([])
    shared = redis_cluster.master_of("{~}")
    other = next(one for one in redis_cluster.masters if one is not shared)
    shared.kill()
    try:
        assert not await is_there(store, address(shared))
        unasked = frozenset((address(shared),))
        assert await store.epochs.look([before.present]) == before._replace(unasked=unasked)
        with pytest.raises(StoreUnavailable):
            await store.epochs.look(["0123456789abcdef"])
        redis_cluster.ask(other, "FLUSHALL")
        with pytest.raises(StoreUnavailable):
            await store.epochs.look([])
    finally:
        shared.start()
    await wait_until(lambda: is_there(store, address(shared)), "the master", 30)
    redis_cluster.wait_until_whole(redis_cluster.masters)
    assert [one.epoch for one in (await store.epochs.look([])).losses] == [before.present]


async def test_a_replica_takes_over_with_what_was_written(
    open_store: Open, redis_cluster: NativeRedisCluster
) -> None:
    master = redis_cluster.masters[1]
    store = open_store()
    theirs = []
    for shop in SHOPS:
        await remember(store, shop)
        if store.part_of(shop) == address(master):
            theirs.append(shop)
    epoch = await store.epochs.look([])
    replica = redis_cluster.add_replica(master)
    try:
        assert redis_cluster.ask(master, "WAIT", 1, 5000) == 1
        master.kill()

        async def has_moved() -> bool:
            await is_there(store, store.part_of(theirs[0]))
            return store.part_of(theirs[0]) == address(replica)

        await wait_until(has_moved, "the replica", 30)
        assert await is_there(store, address(master)), "it is no part any more"
        for shop in theirs:
            assert await known(store, shop) == STAMP
        assert await store.epochs.look([]) == epoch, "no data is lost"
        master.start()
        await wait_until(lambda: _takes_back(redis_cluster, master), "the master", 30)
        assert await known(store, theirs[0]) == STAMP, "by a redirection to the former one"
    finally:
        replica.__exit__()


def _takes_back(cluster: NativeRedisCluster, master: NativeRedis) -> bool:
    role, *rest = cluster.ask(master, "ROLE")
    if role == b"slave" and rest[2] == b"connected":
        cluster.ask(master, "CLUSTER", "FAILOVER", "TAKEOVER")
    return bool(role == b"master")


async def test_a_slot_is_moved_in_the_midst_of_work(
    open_store: Open, redis_cluster: NativeRedisCluster, namespace: str
) -> None:
    store, shop = open_store(), SHOPS[0]
    await remember(store, shop, "lena")
    source = redis_cluster.master_of(f"{{{shop}}}")
    target = next(one for one in redis_cluster.masters if one is not source)
    ask = redis_cluster.ask
    slot = ask(source, "CLUSTER", "KEYSLOT", f"{{{shop}}}")
    ids = {one.port: ask(one, "CLUSTER", "MYID").decode() for one in redis_cluster.masters}

    def hand_over(giver: NativeRedis, taker: NativeRedis) -> None:
        ask(taker, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[giver.port])
        ask(giver, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[taker.port])

    def end(giver: NativeRedis, taker: NativeRedis) -> None:
        with Redis.from_url(giver.url) as client:
            keys = client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1000)
            password = client.connection_pool.connection_kwargs["password"]
            rest = ("AUTH", password, "KEYS", *keys)
            client.execute_command("MIGRATE", "127.0.0.1", taker.port, "", 0, 5000, *rest)
        for one in (taker, giver):
            ask(one, "CLUSTER", "SETSLOT", slot, "NODE", ids[taker.port])

    neighbour = next(one for one in SHOPS[1:] if store.part_of(one) == address(source))
    hand_over(source, target)
    with pytest.raises(StoreUnavailable, match=f"moves slot {slot} to another master now"):
        await is_granted(store, shop)
    assert store.part_of(shop) == f"slot {slot}"
    assert f"slot {slot}" in store.parts
    assert await is_granted(store, neighbour), "which has another slot of the same master"
    assert store.part_of(neighbour) == address(source)
    end(source, target)
    assert await known(store, shop) == STAMP
    assert store.part_of(shop) == address(target)
    assert set(store.parts) == {address(one) for one in redis_cluster.masters}
    hand_over(target, source)
    end(target, source)
    assert await known(open_store(), shop) == STAMP
    assert await known(store, shop) == STAMP


class UnderWay:
    """Slots of the first master that are under way to `target`."""

    def __init__(self, cluster: NativeRedisCluster) -> None:
        self._cluster = cluster
        self.source, _, self.target = cluster.masters
        self._slots: list[int] = []

    def begin(self, slot: int) -> None:
        ids = [self._ask(one, "MYID").decode() for one in (self.source, self.target)]
        self._ask(self.target, "SETSLOT", slot, "IMPORTING", ids[0])
        self._ask(self.source, "SETSLOT", slot, "MIGRATING", ids[1])
        self._slots.append(slot)

    def end(self) -> None:
        for slot in self._slots:
            for one in (self.source, self.target):
                self._ask(one, "SETSLOT", slot, "STABLE")

    def _ask(self, node: NativeRedis, *words: str | int) -> Any:
        return self._cluster.ask(node, "CLUSTER", *words)


@pytest.fixture
def under_way(redis_cluster: NativeRedisCluster) -> Iterator[UnderWay]:
    """A test may do anything with the target; all of it is mended after the test."""
    slots = UnderWay(redis_cluster)
    yield slots
    slots.target.go_on()
    if slots.target._process is None:
        slots.target.start()
    slots.end()
    redis_cluster.wait_until_whole(redis_cluster.masters)


@pytest.mark.parametrize("blow", ["kill", "stall"])
async def test_a_slot_that_moves_to_a_master_that_is_away_concerns_its_integrations_alone(
    open_store: Open, under_way: UnderWay, blow: str
) -> None:
    store, away = open_store(), under_way.target
    for shop in SHOPS:
        await remember(store, shop)
    shop, *neighbours = [one for one in SHOPS if store.part_of(one) == address(under_way.source)]
    slot = slot_of(f"{{{shop}}}")
    under_way.begin(slot)
    getattr(away, blow)()
    gate = StoreGate(store)
    with pytest.raises(StoreUnavailable, match=f"Redis at {address(away)} ") as failed:
        await store.begin(shop, [Claim("somebody new", ["news"])])
    gate.close(failed.value, shop)
    assert neighbours
    assert all(gate.is_open_for(one) for one in neighbours)
    assert all([await is_granted(store, one) for one in neighbours])
    assert not gate.is_open_for(shop)
    assert store.part_of(shop) == f"slot {slot}"
    assert not await is_there(store, f"slot {slot}")
    away.go_on() if blow == "stall" else away.start()
    await wait_until(lambda: gate.is_open_for(shop), "the slot", 30)
    await gate.stop()


async def test_a_master_is_there_whose_first_slot_moves_to_one_that_is_away(
    open_store: Open, redis_cluster: NativeRedisCluster, under_way: UnderWay
) -> None:
    store = open_store()
    epochs = await store.epochs.look([])
    under_way.begin(0)
    under_way.target.kill()
    assert await is_there(store, address(under_way.source))
    assert "slot 0" in store.parts
    assert not await is_there(store, "slot 0")
    after = await store.epochs.look([])
    assert after.losses == epochs.losses
    assert address(under_way.source) not in after.unasked, "its witness is asked in another slot"
    redis_cluster.ask(under_way.source, "FLUSHALL")
    assert (await store.epochs.look([])).losses != epochs.losses


async def test_a_round_costs_one_call_of_the_master_of_its_integration(
    open_store: Open, redis_cluster: NativeRedisCluster
) -> None:
    store = open_store()
    await is_granted(store, "shop-1")

    def scripts_of_all() -> int:
        counts = 0
        for node in redis_cluster.masters:
            with Redis.from_url(node.url) as client:
                told = client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})
                counts += told["calls"]
        return counts

    before = scripts_of_all()
    assert all(await asyncio.gather(*(is_granted(store, "shop-1") for _ in range(20))))
    assert scripts_of_all() - before == 20


async def test_two_workers_contend_for_a_user_on_a_cluster(open_store: Open) -> None:
    one, other = open_store(), open_store()
    (granted,) = await one.begin("shop-1", [Claim("lena", ["news"])])
    assert isinstance(granted, Granted)
    (answer,) = await other.begin("shop-1", [Claim("lena", ["news"])])
    assert isinstance(answer, Contended)


@pytest.mark.parametrize("number", range(3))
async def test_the_url_of_one_server_that_leads_to_a_node_is_refused_at_once(
    open_store: Open, redis_cluster: NativeRedisCluster, number: int
) -> None:
    store = open_store(url=redis_cluster.masters[number].url)
    for _ in range(2):
        with pytest.raises(WrongKindOfRedis, match=r"write redis\+cluster://"):
            await store.admit()
    for shop in SHOPS:
        with pytest.raises(StoreUnavailable, match="node of a Redis Cluster"):
            await store.begin(shop, [Claim("lena", ["news"])])


def give_all_slots(cluster: NativeRedisCluster, numbers: range, taker: NativeRedis) -> None:
    name = cluster.ask(taker, "CLUSTER", "MYID").decode()
    cluster.ask(taker, "CLUSTER", "BUMPEPOCH")  # what another one said before counts less
    for node in sorted(cluster.masters, key=lambda one: one is not taker):
        with Redis.from_url(node.url) as client, client.pipeline(transaction=False) as commands:
            for slot in numbers:
                commands.execute_command("CLUSTER", "SETSLOT", slot, "NODE", name)
            commands.execute()


async def test_a_node_with_both_ends_of_the_slots_is_refused_as_well(
    open_store: Open, redis_cluster: NativeRedisCluster
) -> None:
    first, _, last = redis_cluster.masters
    slots = range(SLOTS // len(redis_cluster.masters) - 1)  # without any it would be no master
    redis_cluster.ask(first, "FLUSHALL")
    give_all_slots(redis_cluster, slots, last)
    try:
        with pytest.raises(WrongKindOfRedis, match=r"write redis\+cluster://"):
            await open_store(url=last.url).admit()
    finally:
        redis_cluster.ask(last, "FLUSHALL")
        give_all_slots(redis_cluster, slots, first)
        redis_cluster.wait_until_whole(redis_cluster.masters)


async def test_the_url_of_a_cluster_that_leads_to_one_server_is_refused(
    open_store: Open, redis_url: str
) -> None:
    url = redis_url.replace("redis://", "redis+cluster://")
    with pytest.raises(WrongKindOfRedis, match="Redis is no cluster: write redis://"):
        await open_store(url=url).admit()


async def test_the_documented_rights_are_enough(
    open_store: Open, redis_cluster: NativeRedisCluster, namespace: str
) -> None:
    rights = [f"~{namespace}:*", "-@all", *OF_ONE_SERVER.split(), *OF_A_CLUSTER.split()]
    for node in redis_cluster.masters:
        redis_cluster.ask(node, "ACL", "SETUSER", "w", "on", ">pw", *rights)
    hosts = redis_cluster.url.rpartition("@")[2]
    store = open_store(url=f"redis+cluster://w:pw@{hosts}", marks=UserKeys(b"a secret").marks)
    for part in [*store.parts]:
        await store.ping(part)
    for shop in SHOPS:
        await remember(store, shop)
    await store.epochs.look([])
    assert await store.remembered_integrations() == set()


@pytest.mark.parametrize("change", [(b"\xff", b"x"), (b"0", b"\xff"), ("x", "y"), (b"0", b"")])
async def test_what_is_no_witness_of_ours_neither_ends_nor_closes_anything(
    open_store: Open, redis_cluster: NativeRedisCluster, namespace: str, change: tuple[Any, Any]
) -> None:
    store = open_store()
    await StoreGate(store).check()
    table = f"{namespace}:{{~}}:witnesses"
    with Redis.from_url(redis_cluster.master_of("{~}").url) as client:
        kept = client.hgetall(table)
        tag = sorted(kept)[0] if change[0] == b"0" else change[0]
        client.hset(table, tag, change[1])
        gate = StoreGate(store)
        await gate.check()
        assert gate.is_open
        assert gate.epochs.problem == "", "nothing is lost"
        after = client.hgetall(table)
        assert {one: after[one] for one in kept} == kept, "what can't be read is written anew"
    await gate.stop()

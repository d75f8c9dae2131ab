"""The epochs of a namespace on a real Redis, against a model in plain Python."""

from __future__ import annotations

import asyncio
from functools import partial
from uuid import uuid4

import pytest
import redis
import redis.asyncio
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.integration.ordering.conftest import play
from tests.unit.delivery.keeper import Keeper
from worker.broker.headers import EPOCH, epoch_in
from worker.ordering.epoch import Epochs, Loss
from worker.ordering.redis_store import RedisStore
from worker.ordering.secret_marks import SecretRefused
from worker.ordering.store_protocol import StoreUnavailable, Timing
from worker.ordering.user_digests import UserKeys

TIMING = Timing(60, 1000)
FORGED = [f"{number:016x}" for number in range(200)]
UNREADABLE = [
    b"",
    b"epoch",
    b"0123456789abcdef",
    b"0123456789abcdef ",
    b"0123456789ABCDEF 1",
    b"0123456789abcde 1",
    b"0123456789abcdef 12345678901234567",
    b"0123456789abcdef 1" + b" " * 9000,
    b"\xff\x00",
]
some_met = st.lists(st.sampled_from(FORGED), max_size=30)


def _without_times(epochs: Epochs | None) -> tuple[str, list[tuple[str, bool]]] | None:
    if epochs is None:
        return None
    return epochs.present, [(one.epoch, bool(one.accepted_ms)) for one in epochs.losses]


class AllEpochs(RuleBasedStateMachine):
    """Two workers and an operator, and whoever else writes to Redis."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.namespace = f"t{uuid4().hex[:8]}"
        self.key = f"{self.namespace}:epoch"
        self.inspector = redis.Redis.from_url(url)
        self.runner = asyncio.Runner()
        self.stores = [RedisStore(url, TIMING, namespace=self.namespace) for _ in range(2)]
        self.model = Keeper()
        self.had: list[str] = []

    def teardown(self) -> None:
        for store in self.stores:
            self.runner.run(store.close())
        self.runner.close()
        self.inspector.delete(self.key)
        self.inspector.close()

    @rule(worker=st.integers(0, 1), forged=some_met, own=st.lists(st.integers(0, 5), max_size=3))
    def look(self, worker: int, forged: list[str], own: list[int]) -> None:
        met = [*forged, *(self.had[one] for one in own if one < len(self.had))]
        seen = self.runner.run(self.stores[worker].epochs.look(met))
        if self.model.epochs is None:
            assert seen.present not in {*self.had, *FORGED}, "an epoch that nobody had"
            assert epoch_in({EPOCH: seen.present}) == seen.present
            self.model.next_epoch = seen.present
            self.had.append(seen.present)
        modelled = self.runner.run(self.model.look(met))
        assert _without_times(seen) == _without_times(modelled)
        self.read()

    @rule()
    def read(self) -> None:
        before = self.inspector.dump(self.key)
        seen = self.runner.run(self.stores[0].epochs.read())
        assert _without_times(seen) == _without_times(self.model.epochs)
        assert self.inspector.dump(self.key) == before, "who reads changes nothing"
        if seen is not None:
            assert self.inspector.ttl(self.key) == -1, "or its end would look like a loss"
            times = [one.noticed_ms for one in seen.losses if not one.accepted_ms]
            assert times == sorted(times)
            assert all(seen.began_ms <= one for one in times)

    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        losses = self.model.epochs.losses if self.model.epochs is not None else ()
        pool = [*(one.epoch for one in losses), *FORGED[:3]]
        lost = data.draw(st.lists(st.sampled_from(pool), unique=True))
        self.runner.run(self.stores[0].epochs.accept(lost))
        self.model.accept(lost)
        self.read()

    @rule()
    def lose(self) -> None:
        self.inspector.delete(self.key)
        self.model.lose("")

    @rule(value=st.sampled_from(UNREADABLE))
    def write_what_can_not_be_read(self, value: bytes) -> None:
        self.inspector.set(self.key, value)
        self.model.lose("")
        self.read_none()

    @rule()
    def write_another_type(self) -> None:
        self.inspector.delete(self.key)
        self.inspector.rpush(self.key, "x")
        self.model.lose("")
        self.read_none()

    def read_none(self) -> None:
        assert self.runner.run(self.stores[1].epochs.read()) is None


@pytest.mark.timeout(400)  # a failure is made smaller before it is shown
def test_redis_and_the_model_agree(redis_url: str) -> None:
    play(partial(AllEpochs, redis_url), 60)


async def test_losses_that_can_not_be_read_are_left_out_and_the_rest_stands(
    redis_url: str, inspector: redis.asyncio.Redis, namespace: str
) -> None:
    words = ["0" * 16, "5", "1" * 16 + ":6:7", "x:1:2", "2" * 16 + ":6", "3" * 16 + ":6:00"]
    text = " ".join([*words, "4" * 17 + ":6:0"])
    await inspector.set(f"{namespace}:epoch", text)
    store = RedisStore(redis_url, TIMING, namespace=namespace)
    seen = await store.epochs.read()
    assert seen == Epochs("0" * 16, 5, (Loss("1" * 16, 6, 7), Loss("3" * 16, 6, 0)))
    assert await inspector.get(f"{namespace}:epoch") == text.encode(), "who reads changes nothing"
    await store.epochs.accept(["3" * 16, "1" * 16])
    seen = await store.epochs.read()
    assert seen is not None
    assert seen.open_losses == ()
    assert seen.losses[0] == ("1" * 16, 6, 7), "it was accepted before"
    await store.close()


async def test_the_oldest_accepted_ones_are_forgotten_and_no_open_one(
    redis_url: str, inspector: redis.asyncio.Redis, namespace: str
) -> None:
    accepted = [f"{number:016x}" for number in range(70)]
    losses = ["a" * 16 + ":1:0", *(f"{one}:2:3" for one in accepted)]
    await inspector.set(f"{namespace}:epoch", " ".join(["f" * 16, "5", *losses]))
    store = RedisStore(redis_url, TIMING, namespace=namespace)
    seen = await store.epochs.look(())
    assert [one.epoch for one in seen.losses] == ["a" * 16, *accepted[-64:]]
    await store.close()


async def test_two_workers_that_start_at_once_have_one_epoch(
    redis_url: str, inspector: redis.asyncio.Redis, namespace: str
) -> None:
    stores = [RedisStore(redis_url, TIMING, namespace=namespace) for _ in range(4)]
    seen = await asyncio.gather(*(one.epochs.look(()) for one in stores))
    assert len({one.present for one in seen}) == 1
    assert all(one.losses == () for one in seen)
    for one in stores:
        await one.close()


async def test_a_refused_secret_makes_no_epoch_and_a_rotation_keeps_it(
    redis_url: str, inspector: redis.asyncio.Redis, namespace: str
) -> None:
    """Each worker of a rotation is another process, and finds the same epoch."""

    def store(secret: bytes, previous: bytes | None = None) -> RedisStore:
        marks = UserKeys(secret, previous).marks
        return RedisStore(redis_url, TIMING, namespace=namespace, marks=marks)

    refused = store(b"")
    with pytest.raises(StoreUnavailable):
        await refused.epochs.look(())
    with pytest.raises(SecretRefused):
        await refused.admit()
    assert await inspector.keys(f"{namespace}:*") == []
    await refused.close()
    seen: set[str] = set()
    for one in (store(b"a"), store(b"a", b"b"), store(b"b", b"a"), store(b"b")):
        epochs = await one.epochs.look(seen)
        assert epochs.losses == ()
        seen.add(epochs.present)
        await one.close()
    assert len(seen) == 1


async def test_data_that_move_take_their_epoch_with_them(
    redis_url: str, inspector: redis.asyncio.Redis, namespace: str
) -> None:
    old = RedisStore(redis_url, TIMING, namespace=f"{namespace}-old")
    new = RedisStore(redis_url, TIMING, namespace=namespace)
    before = await old.epochs.look(())
    await inspector.rename(f"{namespace}-old:epoch", f"{namespace}:epoch")
    assert await new.epochs.look([before.present]) == before
    for one in (old, new):
        await one.close()

"""The stores answer alike: random operations on memory, a file, a real Redis, and a plain model.

Time is not waited for. Memory and the file have clocks that the test moves; in Redis the expiry of
every key, and of every integration, is moved nearer instead, which comes to the same. No sum of the
steps is within five seconds of where something ends, so the time that the test itself takes changes
nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
import redis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from redis.cluster import RedisCluster

from devtools.native_redis_cluster import NativeRedisCluster
from tests.integration.ordering.conftest import play
from worker.ordering.memory_store import MemoryStore
from worker.ordering.redis_store import RedisStore
from worker.ordering.sqlite_store import SqliteStore
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import (
    ERASED,
    LASTING_SECONDS,
    REMEMBERED_CHARACTERS,
    UNCLEAR,
    Claim,
    Contended,
    Granted,
    Settlement,
    Timing,
    tombstone,
)

Inspector = redis.Redis | RedisCluster
LEASE, GAP, RETENTION = 105.0, 45.0, 1005.0
KEPT = 2005.0
# Three attributes, the newest snapshot of a Didomi user, and the newest time that was sent.
ATTRIBUTES = ("a", "_acme.b", "é.c", "@phone", "~")
stamps = st.builds(
    Stamp,
    # Some are erased by the tombstones of `erase`, and some are not.
    st.sampled_from([-1, 0, 1, 20, 60]),
    st.sampled_from([-1, 0, 1, 30]),
    st.booleans(),
    # Sorted by their characters, by their bytes and by most locales these differ.
    st.sampled_from(["", "a", "B", "ab", "_a", "é", "\x00", "a\nb", "\uffff", "\U00010000"]),
)
# Their ends are well between the moments at which anything happens.
marks = st.builds(
    Stamp,
    st.sampled_from([35_000, 125_000]),
    st.integers(-1, 1),
    st.booleans(),
    st.sampled_from(["", "a", "b", "a@-5", "@-5", "b@-9"]),
)
written = st.builds(
    dict[str, Stamp].__or__,
    st.dictionaries(st.sampled_from(ATTRIBUTES), stamps),
    st.dictionaries(st.just(UNCLEAR), marks),
)
texts = st.none() | st.dictionaries(
    st.sampled_from(ATTRIBUTES), st.sampled_from(["a+phone", "a-", "é\x00\n", "12+3", "x" * 2000])
)
users = st.sampled_from(["lena", "emil"])
remembered = st.lists(
    st.sampled_from(
        [
            *("org-a", "org-b", "", "é\n", "\x00", "\ud800"),
            "x" * REMEMBERED_CHARACTERS,
            "x" * (REMEMBERED_CHARACTERS + 1),
        ]
    ),
    max_size=3,
)
paths = st.lists(st.sampled_from((*ATTRIBUTES, ERASED, UNCLEAR)), unique=True)


@st.composite
def a_claim(draw: st.DrawFn) -> Claim:
    """Whose texts are wanted are claimed."""
    claimed = draw(paths)
    wanted = draw(st.lists(st.sampled_from(claimed), unique=True)) if claimed else []
    return Claim(draw(users), tuple(claimed), tuple(wanted))


claims = a_claim()


@dataclass
class User:
    stamps: dict[str, Stamp] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    expires_at: float = 0.0
    busy_until: float = 0.0
    lease: int | None = None


@dataclass
class Lease:
    """One lease in all of them: its number in the model is its place in the list of leases."""

    user: str
    worker: int
    memory: int
    redis: int
    file: int


class Stores(RuleBasedStateMachine):
    def __init__(self, url: str, inspector: Inspector, shared: str = "") -> None:
        super().__init__()
        self.now = 0.0
        self.url = url
        self.namespace = f"t{uuid4().hex[:8]}"
        self.integrations_key = f"{self.namespace}:{shared}integrations"
        self.inspector = inspector
        self.runner = asyncio.Runner()
        self.model: dict[str, User] = {"lena": User(), "emil": User()}
        self.leases: list[Lease] = []
        self.integrations: dict[str, float] = {}

    @initialize(has_gap=st.booleans())
    def open(self, has_gap: bool) -> None:
        self.gap = GAP if has_gap else 0.0
        timing = Timing(LEASE, RETENTION)
        self.memory = MemoryStore(timing, clock=lambda: self.now)
        self.folder = TemporaryDirectory()
        self.file = SqliteStore(
            Path(self.folder.name) / "state",
            timing,
            clock=lambda: self.now,
            wall_clock=lambda: 1_800_000_000 + self.now,
        )
        self.workers = [
            RedisStore(self.url, timing, namespace=self.namespace, clock=lambda: self.now)
            for _ in range(2)
        ]

    def teardown(self) -> None:
        for worker in getattr(self, "workers", ()):
            self.runner.run(worker.close())
        if hasattr(self, "file"):
            self.runner.run(self.file.close())
            self.folder.cleanup()
        self.runner.close()
        if keys := self.inspector.keys(f"{self.namespace}:*"):
            self.inspector.delete(*keys)

    @rule(worker=st.integers(0, 1), batch=st.lists(claims, min_size=1, max_size=3))
    def begin(self, worker: int, batch: list[Claim]) -> None:
        by_memory = self.runner.run(self.memory.begin("shop", batch))
        by_redis = self.runner.run(self.workers[worker].begin("shop", batch))
        by_file = self.runner.run(self.file.begin("shop", batch))
        assert len(by_memory) == len(by_redis) == len(by_file) == len(batch)
        for claim, one, other, third in zip(batch, by_memory, by_redis, by_file, strict=True):
            expected = self._begin(claim)
            if isinstance(expected, Contended):
                assert isinstance(one, Contended)
                assert isinstance(other, Contended)
                assert isinstance(third, Contended)
                assert third.is_held == one.is_held == other.is_held == expected.is_held
                assert one.wait_seconds == pytest.approx(expected.wait_seconds)
                assert third.wait_seconds == pytest.approx(expected.wait_seconds, abs=0.01)
                assert other.wait_seconds == pytest.approx(expected.wait_seconds, abs=5)
            else:
                assert isinstance(one, Granted)
                assert isinstance(other, Granted)
                assert isinstance(third, Granted)
                assert one.texts == other.texts == third.texts == expected.texts
                stamps = expected.stored
                assert one.stored == third.stored == stamps
                assert _without_ms_of_mark(other.stored) == _without_ms_of_mark(stamps)
                if UNCLEAR in stamps:
                    left_ms = stamps[UNCLEAR].time_ms
                    assert other.stored[UNCLEAR].time_ms == pytest.approx(left_ms, abs=5000)
                self.leases.append(Lease(claim.user, worker, one.lease, other.lease, third.lease))

    def _begin(self, claim: Claim) -> Contended | Granted:
        user = self.model[claim.user]
        if user.busy_until > self.now:
            return Contended(user.busy_until - self.now, user.lease is not None)
        # The test appends the lease once it has seen the answer, and answers come in order.
        user.busy_until, user.lease = self.now + LEASE, len(self.leases)
        if user.expires_at <= self.now:
            user.stamps, user.texts = {}, {}
        known = {path: user.stamps[path] for path in claim.attributes if path in user.stamps}
        said = {path: user.texts[path] for path in claim.texts if path in user.texts}
        return Granted(0, _moved(known, -self.now), said)

    @rule(data=st.data(), written=written, sent=st.booleans(), texts=texts, lasts=st.booleans())
    def settle(
        self,
        data: st.DataObject,
        written: dict[str, Stamp],
        sent: bool,
        texts: dict[str, str] | None,
        lasts: bool,
    ) -> None:
        """Any lease that there ever was: also one that ran out, or is settled already."""
        if not self.leases:
            return
        number = data.draw(st.integers(0, len(self.leases) - 1), label="lease")
        lease = self.leases[number]
        of_memory = Settlement(lease.user, lease.memory, written, sent, texts, lasts)
        of_redis = Settlement(lease.user, lease.redis, written, sent, texts, lasts)
        in_file = Settlement(lease.user, lease.file, written, sent, texts, lasts)
        self.runner.run(self.memory.settle("shop", [of_memory], self.gap))
        self.runner.run(self.file.settle("shop", [in_file], self.gap))
        self.runner.run(self.workers[lease.worker].settle("shop", [of_redis], self.gap))
        user = self.model[lease.user]
        written = _moved(written, self.now)
        if written:
            if user.expires_at <= self.now:
                user.stamps, user.texts = {}, {}
            if UNCLEAR in written:
                mark = _added(written.pop(UNCLEAR), user.stamps.get(UNCLEAR), self.now)
                user.stamps[UNCLEAR] = mark
            left = _not_erased(written, user.stamps.get(ERASED))
            for path, stamp in left.items():
                if path not in user.stamps or stamp > user.stamps[path]:
                    user.stamps[path] = stamp
                if texts is not None and stamp == user.stamps[path]:
                    user.texts.pop(path, None)
                    user.texts |= {path: texts[path]} if path in texts else {}
            kept_for = LASTING_SECONDS if lasts else RETENTION
            user.expires_at = max(user.expires_at, self.now + kept_for)
        is_anothers = user.busy_until > self.now and user.lease not in (None, number)
        if sent and not is_anothers:
            user.lease, user.busy_until = None, self.now + self.gap
        elif user.lease == number:
            user.lease, user.busy_until = None, 0.0

    @rule(
        worker=st.integers(0, 1), named=remembered, seconds=st.sampled_from([0, LEASE, RETENTION])
    )
    def remember(self, worker: int, named: list[str], seconds: float) -> None:
        for store in (self.memory, self.file, self.workers[worker]):
            self.runner.run(store.remember_integrations(named, seconds))
        for one in named:
            if len(one) <= REMEMBERED_CHARACTERS:
                self.integrations[one] = self.now + seconds

    @rule(worker=st.integers(0, 1))
    def recall(self, worker: int) -> None:
        expected = {one for one, until in self.integrations.items() if until > self.now}
        for store in (self.memory, self.file, self.workers[worker]):
            assert self.runner.run(store.remembered_integrations()) == expected

    @rule(user=users, before_ms=st.integers(1, 40))
    def erase(self, user: str, before_ms: int) -> None:
        for store in (self.memory, self.file, self.workers[0]):
            self.runner.run(store.erase("shop", user, before_ms, KEPT))
        known = self.model[user]
        is_there = known.expires_at > self.now
        earlier = known.stamps.get(ERASED) if is_there else None
        known.stamps = {ERASED: max(tombstone(before_ms), earlier or tombstone(before_ms))}
        known.texts = {}
        known.expires_at = self.now + KEPT

    @rule(seconds=st.sampled_from([10, 50, 110, 500, 1010]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        for key in self.inspector.keys(f"{self.namespace}:*"):
            left = self.inspector.pttl(key) - seconds * 1000
            assert left > -seconds * 1000, "every key expires"
            if left > 0:
                self.inspector.pexpire(key, left)
            else:
                self.inspector.delete(key)
            if self.inspector.type(key) == b"hash" and (mark := self.inspector.hget(key, UNCLEAR)):
                assert isinstance(mark, bytes)
                stamp = Stamp.decode(mark.decode())
                earlier = stamp._replace(time_ms=stamp.time_ms - seconds * 1000)
                self.inspector.hset(key, UNCLEAR, earlier.encode())
        for one in self.inspector.zrange(self.integrations_key, 0, -1):
            assert isinstance(one, bytes)
            self.inspector.zincrby(self.integrations_key, -seconds, one)


def _not_erased(written: dict[str, Stamp], tombstone: Stamp | None) -> dict[str, Stamp]:
    """What is newer than the tombstone, and what has no time: if it was found at Adobe (0), only
    beside something newer.
    """
    if tombstone is None:
        return written
    latest = {path: max(stamp.time_ms, stamp.updated_ms) for path, stamp in written.items()}
    newer = {path for path, ms in latest.items() if ms > tombstone.time_ms}
    timeless = {
        path
        for path, stamp in written.items()
        if latest[path] <= 0 and (newer or stamp.time_ms != 0)
    }
    return {path: stamp for path, stamp in written.items() if path in newer | timeless}


def _added(mark: Stamp, known: Stamp | None, now: float) -> Stamp:
    """What is kept of two marks that hold, or have held within the last day: the oldest moment of
    which they speak, for the longer of the two; and of one that is over, since when that is so.
    """
    if known is None:
        return mark
    which, since = _read(mark)
    known_which, known_since = _read(known)
    since = min(since, known_since)
    if known.time_ms > now * 1000:
        if known.updated_ms == mark.updated_ms and known_which != which:
            which = ""
        elif known.updated_ms < mark.updated_ms:
            which = known_which
        mark = Stamp(
            max(mark.time_ms, known.time_ms),
            min(mark.updated_ms, known.updated_ms),
            mark.is_refusal or known.is_refusal,
            "",
        )
    told = f"{which}@{since}" if since < mark.updated_ms else which
    return mark._replace(event_id=told)


def _read(mark: Stamp) -> tuple[str, int]:
    which, _, since = mark.event_id.partition("@")
    return which, int(since or mark.updated_ms)


def _moved(stamps: dict[str, Stamp], seconds: float) -> dict[str, Stamp]:
    """With the time of the mark, if there is one, so much later."""
    moved = dict(stamps)
    if UNCLEAR in moved:
        mark = moved[UNCLEAR]
        moved[UNCLEAR] = mark._replace(time_ms=mark.time_ms + round(seconds * 1000))
    return moved


def _without_ms_of_mark(stamps: Mapping[str, Stamp]) -> dict[str, Stamp]:
    return {
        path: stamp._replace(time_ms=0) if path == UNCLEAR else stamp
        for path, stamp in stamps.items()
    }


@pytest.mark.timeout(400)  # a failure is made smaller before it is shown
def test_memory_and_a_file_and_redis_and_the_model_agree(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as inspector:
        play(partial(Stores, redis_url, inspector), 80)


@pytest.mark.timeout(400)
def test_a_cluster_agrees_with_them(redis_cluster: NativeRedisCluster) -> None:
    node = redis_cluster.masters[0].url
    with RedisCluster.from_url(node.removesuffix("/0")) as inspector:
        play(partial(Stores, redis_cluster.url, inspector, "{~}:"), 20)

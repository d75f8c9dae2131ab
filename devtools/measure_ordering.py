"""`python -m devtools.measure_ordering`: the figures of docs/ordering.md, on this machine."""

from __future__ import annotations

import asyncio
import statistics
import time
import timeit
import tracemalloc
import uuid
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from devtools.redis_server import running_redis
from worker.ordering.memory_store import MemoryStore
from worker.ordering.newest_fold import fold
from worker.ordering.redis_store import RedisStore
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import Claim, Granted, NewestStore, Settlement, Timing
from worker.ordering.user_digests import UserKeys

TIMING = Timing()
FEW = ("_acme.news", "_acme.offers", "_acme.tier")
MANY = tuple(f"_acme.consents.purpose{i}" for i in range(10))
BATCH = 50


@dataclass(frozen=True, slots=True)
class Event:
    event_id: str
    event_time_ms: int
    updated_at_ms: int | None
    attributes: dict[str, Any]
    companions: frozenset[str] = frozenset()
    didomi_user: str | None = None


def _stamp() -> Stamp:
    return Stamp(time.time_ns() // 1_000_000, 0, False, str(uuid.uuid4()))


def _names(count: int) -> list[str]:
    keys = UserKeys(b"secret")
    return [
        keys.user_key("shop", "personalEmail.address", f"user-{i}@a.example") for i in range(count)
    ]


async def _cycle(store: NewestStore, names: Sequence[str], attributes: Sequence[str]) -> None:
    """One batch begun and settled; each attribute has a stamp of its own, the costliest case."""
    answers = await store.begin("shop", [Claim(name, attributes) for name in names])
    settlements = [
        Settlement(name, answer.lease, {path: _stamp() for path in attributes}, True)
        for name, answer in zip(names, answers, strict=True)
        if isinstance(answer, Granted)
    ]
    await store.settle("shop", settlements, 0)


def _microseconds(work: Any, number: int = 50_000) -> float:
    return min(timeit.repeat(work, number=number, repeat=5)) / number * 1e6


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run what awaits nothing, without the cost of an event loop."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it awaited something")


def _say(what: str, value: float, unit: str) -> None:
    print(f"{what:48}{value:8.2f} {unit}")


def _measure_fold() -> None:
    events = [Event(str(uuid.uuid4()), 1_800_000_000_000, None, dict.fromkeys(FEW, True))]
    older = dict.fromkeys(FEW, Stamp(1, 0, False, "e"))
    _say(
        "fold, 1 event, 3 attributes, nothing stored", _microseconds(lambda: fold(events, {})), "µs"
    )
    _say("fold, the same with three older stamps", _microseconds(lambda: fold(events, older)), "µs")
    keys = UserKeys(b"secret")
    took = _microseconds(lambda: keys.user_key("shop", "personalEmail.address", "lena@a.example"))
    _say("user_key", took, "µs")


def _measure_memory() -> None:
    names = _names(BATCH)
    written = dict.fromkeys(FEW, _stamp())
    store = MemoryStore(TIMING)
    claims = [Claim(name, FEW) for name in names]

    def cycle() -> None:
        answers = _run(store.begin("shop", claims))
        settlements = [
            Settlement(name, answer.lease, written, True)
            for name, answer in zip(names, answers, strict=True)
        ]
        _run(store.settle("shop", settlements, 0))

    _say("memory, begin and settle, per user", _microseconds(cycle, 2_000) / BATCH, "µs")
    for attributes in (FEW[:1], FEW, MANY):
        tracemalloc.start()
        store = MemoryStore(TIMING)
        for name in _names(20_000):
            _run(_cycle(store, [name], attributes))
        size = tracemalloc.get_traced_memory()[0] / 20_000
        tracemalloc.stop()
        _say(f"memory, per user with {len(attributes)} attributes", size, "bytes")


async def _measure_redis(url: str) -> None:
    names = _names(50_000)
    async with Redis.from_url(url) as inspector:
        for attributes in (FEW[:1], FEW, MANY):
            await inspector.flushall()
            before = (await inspector.info("memory"))["used_memory"]
            store = RedisStore(url, TIMING)
            for i in range(0, len(names), 200):
                await _cycle(store, names[i : i + 200], attributes)
            size = ((await inspector.info("memory"))["used_memory"] - before) / len(names)
            _say(f"Redis, per user with {len(attributes)} attributes", size, "bytes")
            await store.close()
    for batch in (1, BATCH):
        store = RedisStore(url, TIMING)
        taken, of_redis, of_ours = [], [], []
        async with Redis.from_url(url) as inspector:
            for start in range(0, 300 * batch, 20 * batch):
                redis_before, ours_before = await _redis_cpu(inspector), time.process_time()
                for i in range(start, start + 20 * batch, batch):
                    started = time.perf_counter()
                    await _cycle(store, names[i : i + batch], FEW)
                    taken.append(time.perf_counter() - started)
                of_redis.append((await _redis_cpu(inspector) - redis_before) / 20)
                of_ours.append((time.process_time() - ours_before) / 20)
        median = statistics.median(taken) * 1000
        _say(f"Redis, begin and settle, batch of {batch}", median, "ms")
        _say(f"Redis, the least CPU of its own, batch of {batch}", min(of_redis) * 1e6, "µs")
        _say(f"Redis, the least CPU of the caller, batch of {batch}", min(of_ours) * 1e6, "µs")
        await store.close()


async def _redis_cpu(inspector: Redis) -> float:
    """Seconds of CPU that Redis has used since its start."""
    used = await inspector.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def main() -> None:
    """Measure in a fresh Redis; takes about a minute."""
    _measure_fold()
    _measure_memory()
    with running_redis() as server:
        asyncio.run(_measure_redis(server.url))


if __name__ == "__main__":
    main()

"""The rule and the state together: workers of a fleet, and an Adobe where the last arrival wins."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass
from typing import Any

import pytest

from worker.ordering.memory_store import MemoryStore
from worker.ordering.newest_fold import fold
from worker.ordering.redis_store import RedisStore
from worker.ordering.store_protocol import Claim, Contended, NewestStore, Settlement, Timing
from worker.ordering.verdicts import Verdict

TIMING = Timing(lease_seconds=60)
ATTRIBUTES = ("news", "offers", "tier")


@dataclass(frozen=True)
class Event:
    user: str
    event_id: str
    event_time_ms: int
    updated_at_ms: int | None
    attributes: dict[str, Any]
    companions: frozenset[str] = frozenset()
    didomi_user: str | None = None


class Fleet:
    """Workers that take what waits, a few events at a time; some messages fail."""

    def __init__(self, arrivals: list[Event], chance: random.Random) -> None:
        self.waiting = deque(arrivals)
        self.chance = chance
        self.adobe: dict[str, dict[str, Any]] = {}
        self.in_flight: set[str] = set()
        self.skipped: list[tuple[Event, Verdict]] = []
        self.unfinished = len(arrivals)

    async def work(self, store: NewestStore) -> None:
        while self.unfinished:
            batch: dict[str, list[Event]] = {}
            for _ in range(min(len(self.waiting), self.chance.randint(1, 6))):
                event = self.waiting.popleft()
                batch.setdefault(event.user, []).append(event)
            claims = [
                Claim(user, {path for event in events for path in event.attributes})
                for user, events in batch.items()
            ]
            answers = await store.begin("shop", claims)
            for (user, events), answer in zip(batch.items(), answers, strict=True):
                if isinstance(answer, Contended):
                    self.waiting.extend(events)
                    continue
                folded = fold(events, answer.stored)
                fails = self.chance.random() < 0.3
                if folded.attributes:
                    await self._send(user, dict(folded.attributes), fails)
                is_accepted = bool(folded.attributes) and not fails
                settlement = Settlement(
                    user,
                    answer.lease,
                    folded.written if is_accepted else {},
                    bool(folded.attributes),
                )
                await store.settle("shop", [settlement], 0.001)
                for event, verdict in zip(events, folded.verdicts, strict=True):
                    if verdict.awaits_message and not is_accepted:
                        self.waiting.append(event)
                    else:
                        self.unfinished -= 1
                        self.skipped.append((event, verdict))
            await asyncio.sleep(0)

    async def _send(self, user: str, attributes: dict[str, Any], fails: bool) -> None:
        assert user not in self.in_flight, "two messages for one user at the same time"
        self.in_flight.add(user)
        for _ in range(self.chance.randint(0, 5)):
            await asyncio.sleep(0)
        if not fails:
            self.adobe.setdefault(user, {}).update(attributes)
        self.in_flight.discard(user)


@pytest.mark.parametrize("kind", ["memory", "redis"])
@pytest.mark.parametrize("seed", range(3))
async def test_a_fleet_ends_with_the_newest(
    kind: str, seed: int, redis_url: str, namespace: str
) -> None:
    chance = random.Random(seed)
    history = [
        Event(
            f"user-{chance.randint(1, 5)}",
            f"event-{i}",
            chance.randint(1, 30),
            chance.choice([None, 40]),
            {
                path: chance.choice([True, False])
                for path in chance.sample(ATTRIBUTES, chance.randint(1, 3))
            },
        )
        for i in range(150)
    ]
    arrivals = history + chance.choices(history, k=60)
    chance.shuffle(arrivals)
    stores: list[NewestStore]
    if kind == "memory":
        stores = [MemoryStore(TIMING)] * 3
    else:
        stores = [RedisStore(redis_url, TIMING, namespace=namespace) for _ in range(3)]
    fleet = Fleet(arrivals, chance)
    async with asyncio.timeout(60):
        await asyncio.gather(*(fleet.work(store) for store in stores))
    for store in stores:
        await store.close()
    assert len(fleet.skipped) == len(arrivals)

    expected: dict[str, dict[str, Any]] = {}
    for event in sorted(history, key=lambda one: (one.event_time_ms, one.updated_at_ms or 0)):
        for path, value in event.attributes.items():
            rivals = [
                one.attributes[path]
                for one in history
                if one.user == event.user
                and path in one.attributes
                and (one.event_time_ms, one.updated_at_ms)
                == (event.event_time_ms, event.updated_at_ms)
            ]
            expected.setdefault(event.user, {})[path] = all(rivals) and value
    assert fleet.adobe == expected

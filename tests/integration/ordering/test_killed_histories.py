"""A worker that is killed again and again ends where one ends that nobody kills.

Each life plays the events of one person from the first that it has not told of, as the broker hands
them out again, with its state in a file. Snapshots of two devices, choices that are emptied, and
whole records; Adobe is what it has printed.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.delivery.records import COMPLETED, SNAPSHOTS, Adobe, Worker, choice, snapshot
from worker.delivery.rounds.round_results import Busy
from worker.integrations.model import Integration
from worker.ordering.memory_store import MemoryStore
from worker.ordering.sqlite_store import SqliteStore
from worker.ordering.store_protocol import Timing
from worker.ordering.user_digests import UserKeys

TARGETS = {"events": COMPLETED, "snapshots": SNAPSHOTS}
EVENTS = 60
SECRET = b"secret"
LEASE_SECONDS = 0.5


def history(kind: str, seed: int) -> list[bytes]:
    """Events of one hour, as late as may be."""
    chance = random.Random(seed)
    minutes = list(range(EVENTS))
    chance.shuffle(minutes)
    return [_event(kind, minute, chance) for minute in minutes]


def _event(kind: str, minute: int, chance: random.Random) -> bytes:
    names = [one for one in ("news", "offers", "sms") if chance.random() < 0.4]
    purposes = {name: chance.random() < 0.6 for name in names}
    if kind == "snapshots":
        return snapshot(minute, chance.choice(["phone", "tablet"]), **purposes)
    bags = chance.choice(["", "shoes", "hats"]) if not names or chance.random() < 0.4 else None
    return choice(minute, bags=bags, **purposes)


def tell(**what: Any) -> None:
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


class Telling(Adobe):
    """Tells what it accepts."""

    async def send(self, target: Integration, messages: Any) -> Any:
        replies = await super().send(target, messages)
        for record in self.records[-len(messages) :]:
            tell(record=record)
        return replies


async def take(worker: Worker, body: bytes) -> None:
    """Who was held when the life before this one was killed waits for the rest of that lease."""
    (result,) = await worker.take(body)
    if isinstance(result, Busy):
        await asyncio.sleep(result.wait_seconds)
        await take(worker, body)


async def live(path: str, kind: str, seed: int, first: int) -> None:
    """Play the history from there on, and tell what is done."""
    store = SqliteStore(Path(path), Timing(LEASE_SECONDS, 1_000), marks=UserKeys(SECRET).marks)
    worker = Worker(store, TARGETS[kind], secret=SECRET, adobe=Telling())
    for number, body in enumerate(history(kind, seed)[first:], first):
        await take(worker, body)
        tell(done=number + 1)
    await store.close()


async def unharmed(kind: str, seed: int) -> dict[str, Any]:
    """The record with which a worker ends that nobody kills."""
    worker = Worker(MemoryStore(Timing()), TARGETS[kind], secret=SECRET)
    for body in history(kind, seed):
        await worker.take(body)
    return worker.adobe.has


def harmed(path: Path, kind: str, seed: int) -> dict[str, Any]:
    """The record with which workers end that are killed after some lines each."""
    chance = random.Random(seed)
    record: dict[str, Any] = {}
    done = lives = 0
    while done < EVENTS:
        lives += 1
        command = [sys.executable, "-m", __name__, str(path), kind, str(seed), str(done)]
        life = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert life.stdout is not None
        for lines in range(1, 10 * EVENTS):
            said = life.stdout.readline()
            if not said:
                break
            told = json.loads(said)
            done = told.get("done", done)
            record = told.get("record", record)
            if lines == chance.randint(1, 50) or lines == 40:
                life.kill()
        rest = life.stdout.read()
        life.wait()
        for line in rest.splitlines():
            told = json.loads(line)
            done, record = told.get("done", done), told.get("record", record)
    assert lives > 1, "nobody was killed"
    return record


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("seed", [1, 2])
async def test_it_ends_as_if_nobody_had_been_killed(kind: str, seed: int, tmp_path: Path) -> None:
    expected = await unharmed(kind, seed)
    assert await asyncio.to_thread(harmed, tmp_path / "state.sqlite", kind, seed) == expected


if __name__ == "__main__":
    asyncio.run(live(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))

"""What is kept of a choice beside its stamp: sealed, and kept through a change of the secret."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from tests.unit.delivery.parts import Hand
from tests.unit.examples import NOW_MS, event_document, integration
from worker.adobe.replies import Accepted
from worker.adobe.streaming import OutgoingMessage
from worker.broker.headers import FRESH
from worker.delivery.courier import Courier
from worker.delivery.delivery import Delivery
from worker.delivery.gate import StoreGate
from worker.delivery.slots import RequestSlots
from worker.events import open_envelope
from worker.integrations.model import Integration
from worker.ordering.redis import RedisStore
from worker.ordering.sqlite import SqliteStore
from worker.ordering.store import NewestStore, Timing
from worker.ordering.users import UserKeys
from worker.ordering.values import Seals
from worker.transform.decide import decide
from worker.transform.decision import Deliver

FORMER, PRESENT = b"former", b"present"
LENA = "lena@northwind.example"
COMPLETED = integration(
    limits={"profile_gap_seconds": 0},
    mappings=[
        {"id": f"_acme.{name}", "value": f"consents_purposes_{name}_enabled"}
        for name in ("news", "offers", "sms")
    ],
).model_copy(update={"payload_mode": "xdm"})


class Adobe:
    """Accepts everything, and keeps the records."""

    def __init__(self) -> None:
        self.records: list[Any] = []

    async def look_up(self, *_: object) -> None:
        raise AssertionError("nothing is to be looked up")

    async def send(self, _: Integration, messages: Sequence[OutgoingMessage]) -> list[Accepted]:
        self.records += [one.record["_acme"] for one in messages]
        return [Accepted("x")] * len(messages)


class Worker:
    """With these secrets, at a store."""

    def __init__(self, make: MakeStore, secret: bytes, previous: bytes | None = None) -> None:
        self.keys = UserKeys(secret, previous)
        self.store = make(self.keys)
        self.adobe = Adobe()
        gate = StoreGate(self.store)
        self.courier = Courier(self.adobe, gate, 5, 120, Seals(secret, previous))
        self.minute = 0

    async def says(self, minute: int, **purposes: bool) -> Any:
        """The record that Adobe has after a choice."""
        document = event_document(
            id=f"ev-{minute}",
            created_at=f"2026-03-02T08:{minute:02}:00Z",
            user={"id": "device", "organization_user_id": LENA},
            consents={"purposes": [{"id": k, "enabled": v} for k, v in purposes.items()]},
        )
        message = Hand().message(json.dumps(document).encode())
        choice = decide(COMPLETED, open_envelope(message.body), NOW_MS)
        assert isinstance(choice, Deliver)
        user = self.keys.user_key(COMPLETED.id, choice.identity.place, choice.identity.value)
        delivery = Delivery(message, FRESH, COMPLETED, choice, user)
        await self.courier.deliver(COMPLETED, [[delivery]], RequestSlots(1))
        return self.adobe.records[-1]


MakeStore = Callable[[UserKeys], NewestStore]
TIMING = Timing(60, 1_000)


@pytest.fixture(params=["redis", "sqlite"])
async def make(
    request: pytest.FixtureRequest, redis_url: str, namespace: str, tmp_path: Path
) -> AsyncIterator[MakeStore]:
    made: list[NewestStore] = []

    def store(keys: UserKeys) -> NewestStore:
        one: NewestStore
        if request.param == "redis":
            one = RedisStore(redis_url, TIMING, namespace=namespace, marks=keys.marks)
        else:
            path = tmp_path / "state.sqlite"
            one = SqliteStore(path, TIMING, marks=keys.marks, is_worker=False)
        made.append(one)
        return one

    yield store
    for one in made:
        await one.close()


async def test_a_record_is_completed_in_each_step_of_a_rotation(make: MakeStore) -> None:
    assert await Worker(make, FORMER).says(1, news=True) == {"news": True}
    first = Worker(make, FORMER, PRESENT)
    assert await first.says(2, offers=False) == {"news": True, "offers": False}
    second = Worker(make, PRESENT, FORMER)
    assert await second.says(3, sms=True) == {"news": True, "offers": False, "sms": True}
    assert await first.says(4, sms=False) == {"news": True, "offers": False, "sms": False}
    assert (await second.says(5, sms=True))["sms"]
    last = await Worker(make, PRESENT).says(6, news=False)
    assert last == {"news": False, "offers": False, "sms": True}, "all is sealed anew by then"


async def test_a_secret_that_opens_nothing_is_told(
    redis_url: str, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when a rotation has ended too soon: marks are taken away here, which refuse it."""

    def make(_: UserKeys) -> NewestStore:
        return RedisStore(redis_url, TIMING, namespace=namespace)

    keys = UserKeys(FORMER)
    former = Worker(make, FORMER)
    assert await former.says(1, news=True) == {"news": True}
    other = Worker(make, PRESENT)
    other.keys = keys
    assert await other.says(2, sms=True) == {"sms": True}
    assert "ordering.unreadable_value" in capsys.readouterr().out
    for one in (former, other):
        await one.store.close()


async def test_a_text_that_an_older_worker_has_left_behind_says_nothing(
    redis_url: str, namespace: str, inspector: redis.asyncio.Redis
) -> None:
    """It writes stamps, and knows nothing of what is beside them."""

    def make(_: UserKeys) -> NewestStore:
        return RedisStore(redis_url, TIMING, namespace=namespace)

    worker = Worker(make, PRESENT)
    await worker.says(1, news=True)
    (key,) = await inspector.keys(f"{namespace}:{{*")
    stamp = (await inspector.hget(key, "_acme.news")).decode()
    await inspector.hset(key, "_acme.news", f"{stamp}, another")
    assert await worker.says(2, sms=True) == {"sms": True}
    await worker.store.close()


async def test_values_in_the_file_are_sealed(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    worker = Worker(lambda keys: SqliteStore(path, TIMING, marks=keys.marks), PRESENT)
    await worker.says(1, news=True)
    await worker.store.close()
    with closing(sqlite3.connect(path)) as file:
        ((stamps,),) = file.execute("SELECT stamps FROM users").fetchall()
    assert set(json.loads(stamps)) == {"_acme.news", "=_acme.news"}
    assert "consents_purposes" not in stamps
    assert "true" not in stamps

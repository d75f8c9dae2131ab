"""The state is lost while a request is under way: a part does not pass for all that there is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from tests.integration.ordering.conftest import FORMER, LENA, PRESENT, TIMING, Open, known
from tests.unit.delivery.records import COMPLETED, Adobe, Worker, choice
from worker.adobe.replies import Accepted
from worker.integrations.model import Integration
from worker.ordering.sqlite_store import SqliteStore
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import (
    UNCLEAR,
    Claim,
    Granted,
    NewestStore,
    Settlement,
    StoreUnavailable,
)
from worker.ordering.user_digests import UserKeys

OLD, NEW = Stamp(1, 0, False, "e1"), Stamp(2, 0, False, "e2")
OK = Accepted("x")
Lose = Callable[[], Awaitable[None]]


def take_away(directory: Path) -> None:
    for one in directory.glob("state.sqlite*"):
        one.unlink()


@pytest.fixture(params=["sqlite", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def lose(kind: str, tmp_path: Path, inspector: redis.asyncio.Redis, namespace: str) -> Lose:
    async def lose_all() -> None:
        if kind == "sqlite":
            take_away(tmp_path)
            return
        async for key in inspector.scan_iter(f"{namespace}*"):
            await inspector.delete(key)

    return lose_all


async def settle(store: NewestStore, settlement: Settlement) -> None:
    """Once more where the store has told of the loss, as whoever settles does."""
    try:
        await store.settle("shop", [settlement], 0)
    except StoreUnavailable:
        await store.settle("shop", [settlement], 0)


async def lease_of(store: NewestStore, user: str) -> int:
    (granted,) = await store.begin("shop", [Claim(user, ("news", "sms"))])
    assert isinstance(granted, Granted)
    return granted.lease


@pytest.mark.parametrize("previous", [None, FORMER], ids=["one secret", "a rotation"])
async def test_a_part_is_written_only_where_the_rest_still_stands(
    kind: str, previous: bytes | None, open_in: Callable[[str], Open], lose: Lose
) -> None:
    keys = UserKeys(PRESENT, previous)
    store, user = open_in(kind)(keys), keys.user_key(*LENA)
    whole = {"news": OLD}
    said = {"news": "sealed"}
    await settle(store, Settlement(user, await lease_of(store, user), whole, False, said, True))
    part = {"sms": NEW, UNCLEAR: Stamp(60_000, 2, False, "")}
    for is_lost, stands in ((False, {"news", "sms", UNCLEAR}), (True, set[str]())):
        lease = await lease_of(store, user)
        if is_lost:
            await lose()
        late = Settlement(user, lease, part, True, {"sms": "sealed"}, True, is_part=True)
        await settle(store, late)
        stamps, _ = await known(store, user, "news", "sms", UNCLEAR)
        assert stamps.keys() == stands


async def test_who_was_lost_is_free_after_the_gap_all_the_same(
    kind: str, open_in: Callable[[str], Open], lose: Lose
) -> None:
    store = open_in(kind)(UserKeys(PRESENT))
    lease = await lease_of(store, "lena")
    await lose()
    await settle(store, Settlement("lena", lease, {"sms": NEW}, True, {}, True, is_part=True))
    await settle(store, Settlement("lena", await lease_of(store, "lena"), {"sms": NEW}, True, {}))
    assert await known(store, "lena", "sms") == ({"sms": NEW}, {})


class Losing(Adobe):
    """The state's file is taken away while it handles a request."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory
        self.loses = False

    async def send(self, integration: Integration, messages: Sequence[Any]) -> Any:
        if self.loses:
            take_away(self._directory)
        return await super().send(integration, messages)


async def test_a_choice_after_that_counts_as_of_somebody_unknown_and_erases_nothing(
    tmp_path: Path,
) -> None:
    store = SqliteStore(tmp_path / "state.sqlite", TIMING)
    adobe = Losing(tmp_path)
    worker = Worker(store, COMPLETED, secret=PRESENT, adobe=adobe)
    await worker.gate.epochs.look()
    assert await worker.take(choice(10, news=True)) == [OK]
    adobe.loses = True
    assert await worker.take(choice(20, sms=True)) == [OK]
    adobe.loses = False
    adobe.found = {"_acme.news": True}
    assert await worker.take(choice(30, sms=False)) == [OK]
    assert adobe.has == {"news": True, "sms": False}
    assert adobe.looked_up == 1
    await worker.gate.stop()

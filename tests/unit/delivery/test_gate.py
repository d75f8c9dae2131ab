"""The gate before the state of newest-wins, with a state that is away for a while."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.delivery.parts import Store
from tests.unit.delivery.virtual_time import after, in_virtual_time, now, quiet
from worker.delivery.gate import StoreGate
from worker.ordering.newest import Stamp
from worker.ordering.store import Claim, Contended, Granted, Settlement, StoreUnavailable

AWAY = StoreUnavailable("no route to it")


async def lease(store: Store, user: str = "lena") -> Granted:
    [answer] = await store.begin("shop", [Claim(user, {"news"})])
    assert isinstance(answer, Granted)
    return answer


@in_virtual_time
async def test_it_is_open_until_it_is_closed_and_says_why() -> None:
    gate = StoreGate(Store())
    assert gate.is_open
    gate.close(AWAY)
    assert not gate.is_open
    assert gate.problem == "no route to it"
    await gate.stop()


@in_virtual_time
async def test_it_opens_by_itself_when_the_state_answers_and_tells_everyone_once() -> None:
    store = Store()
    store.away["ping"] = 3
    gate = StoreGate(store)
    told: list[tuple[str, bool]] = []
    gate.when_open(lambda: told.append(("first", gate.is_open)))
    gate.when_open(lambda: told.append(("second", gate.is_open)))
    gate.close(AWAY)
    began = now()
    while not gate.is_open:
        assert told == []
        await after(0.1)
    assert store.pings == 4
    assert now() - began < 5
    assert told == [("first", True), ("second", True)]
    await after(60)
    assert store.pings == 4
    assert len(told) == 2


@in_virtual_time
async def test_it_tells_the_latest_problem() -> None:
    store = Store()
    store.away["ping"] = 1000
    gate = StoreGate(store)
    gate.close(AWAY)
    await after(2)
    assert gate.problem == "ping is away"
    await gate.stop()


@in_virtual_time
async def test_closing_it_often_asks_no_more_often() -> None:
    store = Store()
    gate = StoreGate(store)
    told: list[None] = []
    gate.when_open(lambda: told.append(None))
    for _ in range(10):
        gate.close(AWAY)
    await after(60)
    assert (store.pings, len(told)) == (1, 1)


@in_virtual_time
async def test_it_can_be_closed_again() -> None:
    gate = StoreGate(Store())
    told: list[None] = []
    gate.when_open(lambda: told.append(None))
    for turn in (1, 2):
        gate.close(AWAY)
        assert not gate.is_open
        await after(5)
        assert gate.is_open
        assert len(told) == turn


@in_virtual_time
async def test_settling_waits_until_the_state_is_back_and_then_is_done() -> None:
    store = Store()
    gate = StoreGate(store)
    granted = await lease(store)
    store.away["settle"], store.away["ping"] = 1, 4
    stamp = Stamp(1, 0, False, "ev-1")
    settling = asyncio.create_task(
        gate.settle("shop", [Settlement("lena", granted.lease, {"news": stamp}, True)], 1.0)
    )
    await quiet()
    assert not gate.is_open
    assert not settling.done()
    await settling
    assert gate.is_open
    [busy] = await store.begin("shop", [Claim("lena", {"news"})])
    assert busy == Contended(pytest.approx(1.0), is_held=False)
    await after(1)
    assert (await lease(store)).stored == {"news": stamp}


@in_virtual_time
async def test_settling_goes_on_while_the_state_answers_only_pings() -> None:
    store = Store()
    store.away["settle"] = 5
    gate = StoreGate(store)
    granted = await lease(store)
    await gate.settle("shop", [Settlement("lena", granted.lease, {}, False)], 0)
    assert store.away["settle"] == 0
    assert store.pings == 5
    assert isinstance(await lease(store), Granted)


@in_virtual_time
async def test_two_that_settle_wait_for_the_same_opening() -> None:
    store = Store()
    gate = StoreGate(store)
    leases = {user: (await lease(store, user)).lease for user in ("lena", "ole")}
    store.away["settle"] = 2
    await asyncio.gather(
        *(
            gate.settle("shop", [Settlement(user, one, {}, False)], 0)
            for user, one in leases.items()
        )
    )
    assert store.pings == 1
    assert {one.user for one in store.settlements} == {"lena", "ole"}


@in_virtual_time
async def test_giving_up_one_that_settles_leaves_the_others_waiting() -> None:
    store = Store()
    gate = StoreGate(store)
    granted = await lease(store)
    store.away["settle"] = 2
    settlement = [Settlement("lena", granted.lease, {}, False)]
    given_up, other = (asyncio.create_task(gate.settle("shop", settlement, 0)) for _ in range(2))
    await quiet()
    given_up.cancel()
    await other
    assert given_up.cancelled()
    assert gate.is_open


@in_virtual_time
async def test_nothing_to_settle_asks_nothing_of_the_state() -> None:
    store = Store()
    store.away["settle"] = 1
    await StoreGate(store).settle("shop", [], 1.0)
    assert store.away["settle"] == 1


@pytest.mark.parametrize("is_closed", [False, True])
@in_virtual_time
async def test_stopping_asks_no_more_and_lets_go_of_the_store(is_closed: bool) -> None:
    store = Store()
    gate = StoreGate(store)
    if is_closed:
        gate.close(AWAY)
    await gate.stop()
    await after(60)
    assert store.pings == 0
    assert store.is_closed

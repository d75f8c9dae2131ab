"""The gate before the state of newest-wins, with a state that is away for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.unit.delivery.parts import Store
from tests.unit.delivery.virtual_time import after, in_virtual_time, now, quiet
from worker.delivery.rounds.store_gate import StoreGate
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import Claim, Contended, Granted, Settlement, StoreUnavailable

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


@in_virtual_time
async def test_a_check_finds_what_is_away_before_an_event_does() -> None:
    store = Store()
    gate = StoreGate(store)
    watching = asyncio.create_task(gate.watch(5))
    await gate.check()
    assert (gate.is_open, store.pings) == (True, 1)
    await after(4.9)
    assert store.pings == 1
    store.away["ping"] = 3
    await after(0.2)
    assert not gate.is_open
    await after(2)
    assert gate.is_open
    assert store.pings == 5, "asked by the watch, and four times until it was back"
    watching.cancel()


@in_virtual_time
async def test_a_closed_gate_is_not_checked_beside() -> None:
    store = Store()
    store.away["ping"] = 1000
    gate = StoreGate(store)
    gate.close(AWAY)
    await gate.check()
    assert store.pings == 0
    await gate.stop()


@in_virtual_time
async def test_a_store_that_only_takes_pings_is_asked_less_and_less() -> None:
    gate = StoreGate(Store())

    async def seconds_closed() -> float:
        began = now()
        gate.close(AWAY)
        while not gate.is_open:
            await after(0.01)
        return now() - began

    took = [await seconds_closed() for _ in range(7)]
    assert took == pytest.approx([0.5, 1, 2, 4, 8, 8, 8], abs=0.05)
    await after(10)
    assert await seconds_closed() == pytest.approx(0.5, abs=0.05), "steady meanwhile"


@in_virtual_time
async def test_a_fault_of_ours_in_writing_stamps_sends_nothing_more_until_they_are_written() -> (
    None
):
    class Faulty(Store):
        faults = 3

        async def settle(
            self, state_id: str, settlements: Sequence[Settlement], gap_seconds: float
        ) -> None:
            if self.faults:
                self.faults -= 1
                raise OverflowError("of a number")
            await super().settle(state_id, settlements, gap_seconds)

    store = Faulty()
    gate = StoreGate(store)
    granted = await lease(store)
    written = {"news": Stamp(1, 0, False, "e")}
    settling = asyncio.create_task(
        gate.settle("shop", [Settlement("lena", granted.lease, written, True)], 0.0)
    )
    await after(0.1)
    assert gate.problem == "stamps can't be written (OverflowError)"
    await settling
    assert [one.written for one in store.settlements] == [written]
    await gate.stop()

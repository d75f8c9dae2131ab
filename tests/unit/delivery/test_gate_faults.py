"""A fault of ours while the state is asked for ends neither the asking nor the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from tests.unit.delivery.keeper import Keeper
from tests.unit.delivery.parts import Store
from tests.unit.delivery.virtual_time import after, in_virtual_time
from worker.delivery.rounds.epoch_watch import shown_time
from worker.delivery.rounds.store_gate import StoreGate
from worker.ordering.epoch import EpochKeeper, Epochs
from worker.ordering.store_protocol import StoreUnavailable


class Stumbling(Store):
    """Its pings and its looks at epochs fail so many times for a reason that nobody knew of."""

    def __init__(self, pings: int = 0, looks: int = 0) -> None:
        super().__init__()
        self.faults = {"ping": pings, "look": looks}
        self.epochs: EpochKeeper | None = _Stumbling(self)

    def stumble(self, call: str) -> None:
        if self.faults[call]:
            self.faults[call] -= 1
            raise KeyError(call)

    async def ping(self, part: str = "") -> None:
        self.stumble("ping")
        await super().ping(part)


class _Stumbling(Keeper):
    def __init__(self, store: Stumbling) -> None:
        super().__init__()
        self._store = store

    async def look(self, met: Collection[str]) -> Epochs:
        self._store.stumble("look")
        return await super().look(met)


@in_virtual_time
async def test_a_closed_part_is_asked_until_it_answers() -> None:
    gate = StoreGate(Stumbling(pings=3, looks=1))
    gate.close(StoreUnavailable("no route to it"))
    await after(1.1)
    assert gate.problem == "can't be asked (KeyError)"
    await after(60)
    assert gate.is_open
    assert gate.epochs.fresh.epoch is None
    await gate.check()
    assert gate.epochs.fresh.epoch == "1" * 16
    await gate.stop()


@in_virtual_time
async def test_a_check_that_stumbles_closes_the_part_and_raises_nothing() -> None:
    gate = StoreGate(Stumbling(pings=1))
    await gate.check()
    assert not gate.is_open
    await after(60)
    assert gate.is_open
    await gate.stop()


@in_virtual_time
async def test_the_watch_goes_on() -> None:
    store = Stumbling(looks=3)
    gate = StoreGate(store)
    await gate.check()
    watching = asyncio.create_task(gate.watch(5))
    await after(21)
    assert not watching.done()
    assert gate.is_open
    assert store.faults["look"] == 0
    assert gate.epochs.fresh.epoch == "1" * 16
    watching.cancel()


@in_virtual_time
async def test_a_stop_lets_go_of_the_store_all_the_same() -> None:
    store = Stumbling(looks=100)
    gate = StoreGate(store)
    gate.epochs.meet("2" * 16)
    await gate.stop()
    assert store.is_closed


@pytest.mark.parametrize("time_ms", [9_999_999_999_999_999, -9_999_999_999_999_999])
def test_a_time_that_nobody_can_have_noticed_is_told_as_unknown(time_ms: int) -> None:
    assert shown_time(time_ms) == "an unknown time"
    assert shown_time(1_800_000_000_000) == "2027-01-15T08:00:00Z"

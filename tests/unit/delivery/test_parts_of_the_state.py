"""The gate before a state of several parts: one that is away closes it for its integrations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.delivery.parts import Store
from tests.unit.delivery.pipeline_parts import NOON, Adobe, Worker, body
from tests.unit.delivery.virtual_time import after, in_virtual_time
from worker.broker.retry_state import RetryState, write_retry_state
from worker.delivery.rounds.store_gate import StoreGate
from worker.ordering.store_protocol import StoreUnavailable

AWAY = StoreUnavailable("no route to it")


class Spread(Store):
    """Each integration is at the part that its id begins with; `gone` ones answer no ping."""

    parts: Sequence[str] = ("a", "b", "c")
    shared_part = "a"

    def __init__(self) -> None:
        super().__init__()
        self.gone: set[str] = set()

    def part_of(self, state_id: str) -> str:
        return state_id[0]

    async def ping(self, part: str = "") -> None:
        if part in self.gone:
            raise StoreUnavailable(f"{part} is away")


def open_for(gate: StoreGate) -> list[str]:
    return [one for one in ("a1", "b1", "b2", "c1") if gate.is_open_for(one)]


@in_virtual_time
async def test_it_closes_for_the_integrations_of_one_part_and_opens_for_them() -> None:
    store = Spread()
    gate = StoreGate(store)
    told: list[list[str]] = []
    gate.when_open(lambda: told.append(open_for(gate)))
    store.gone = {"b"}
    gate.close(AWAY, "b1")
    assert (gate.is_open, open_for(gate)) == (True, ["a1", "c1"])
    await after(2)
    assert gate.problems == ["b is away"]
    assert told == []
    store.gone = set()
    await after(2)
    assert (gate.problems, told) == ([], [["a1", "b1", "b2", "c1"]])
    await gate.stop()


@in_virtual_time
async def test_it_is_closed_when_all_parts_are_away() -> None:
    store = Spread()
    gate = StoreGate(store)
    store.gone = {"a", "b", "c"}
    await gate.check()
    assert (gate.is_open, open_for(gate), len(gate.problems)) == (False, [], 3)
    store.gone = {"c"}
    await after(2)
    assert (gate.is_open, open_for(gate)) == (True, ["a1", "b1", "b2"])
    await gate.stop()


@in_virtual_time
async def test_what_is_of_all_integrations_closes_its_own_part() -> None:
    gate = StoreGate(Spread())
    gate.close(AWAY)
    assert open_for(gate) == ["b1", "b2", "c1"]
    await gate.stop()


@in_virtual_time
async def test_a_part_that_is_none_any_more_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Spread()
    gate = StoreGate(store)
    store.gone = {"b"}
    gate.close(AWAY, "b1")
    store.parts = ("a", "c")
    monkeypatch.setattr(store, "part_of", lambda state_id: "a")
    assert open_for(gate) == ["a1", "b1", "b2", "c1"]
    await gate.stop()


RETRY = write_retry_state(RetryState("shop", 2, round(NOON * 1000), 1000))


@pytest.mark.parametrize("headers", [{}, RETRY], ids=["fresh", "a retry"])
@in_virtual_time
async def test_what_comes_for_a_part_that_is_away_is_parked_and_takes_no_room(
    headers: dict[str, Any],
) -> None:
    store = Spread()
    store.gone = {"s"}
    store.parts = ("a", "s")
    worker = Worker(Adobe(), store)
    worker.gate.close(AWAY, "shop")
    for number in range(3):
        await worker.take(body(f"e{number}"), dict(headers))
    await after(1)
    assert worker.told == ["parked"] * 3
    await worker.gate.stop()


@pytest.mark.parametrize("headers", [{}, RETRY], ids=["fresh", "a retry"])
@in_virtual_time
async def test_what_comes_while_all_parts_are_away_is_held(headers: dict[str, Any]) -> None:
    store = Spread()
    store.gone = {"a", "s"}
    store.parts = ("a", "s")
    worker = Worker(Adobe(), store)
    await worker.gate.check()
    await worker.take(body("e1"), dict(headers))
    await after(1)
    assert worker.told == []
    store.gone = set()
    await after(2)
    assert worker.told == ["delivered"]
    await worker.gate.stop()

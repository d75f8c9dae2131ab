"""Slots for requests: never more than the limit, the first ones first, and none is lost."""

from __future__ import annotations

import asyncio

import pytest

from worker.delivery.rounds.request_slots import RequestSlots


class _Requests:
    """Requests that end when they are told to."""

    def __init__(self, slots: RequestSlots) -> None:
        self._slots = slots
        self._ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.under_way: list[str] = []

    async def begin(self, *names: str, first: bool = False) -> None:
        for name in names:
            self._ends[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._one(name, first))
        await _quiet()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await _quiet()

    async def _one(self, name: str, first: bool) -> None:
        async with self._slots.one(first=first):
            self.under_way.append(name)
            try:
                await self._ends[name].wait()
            finally:
                self.under_way.remove(name)


async def _quiet() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_no_more_than_the_limit_and_what_is_first_goes_first() -> None:
    requests = _Requests(RequestSlots(2))
    await requests.begin("a", "b", "c", "d")
    await requests.begin("e", "f", first=True)
    seen = [list(requests.under_way)]
    for name in "abefcd":
        await requests.end(name)
        seen.append(list(requests.under_way))
    assert seen == [["a", "b"], ["b", "e"], ["e", "f"], ["f", "c"], ["c", "d"], ["d"], []]


async def test_a_changed_limit_counts_what_is_under_way() -> None:
    slots = RequestSlots(3)
    requests = _Requests(slots)
    await requests.begin(*"abcdefg")
    slots.set_limit(1)
    for name, left in (("a", ["b", "c"]), ("b", ["c"]), ("c", ["d"])):
        await requests.end(name)
        assert requests.under_way == left
    slots.set_limit(3)
    await _quiet()
    assert requests.under_way == ["d", "e", "f"]


@pytest.mark.parametrize("is_handed_out", [False, True])
async def test_who_gives_up_takes_no_slot_along(is_handed_out: bool) -> None:
    requests = _Requests(RequestSlots(1))
    await requests.begin("a", "b", "c")
    if is_handed_out:
        # "a" ends, so "b" is handed the slot, and is cancelled before it can run.
        requests.tasks["a"].cancel()
        await asyncio.sleep(0)
        assert not requests.under_way
    requests.tasks["b"].cancel()
    await _quiet()
    if not is_handed_out:
        await requests.end("a")
    assert requests.under_way == ["c"]
    await requests.begin("d")
    await requests.end("c")
    assert requests.under_way == ["d"]

"""Work under way at the same time: bounded, and a failure ends it."""

from __future__ import annotations

import asyncio

import pytest

from worker.broker.bounded_tasks import InFlight


async def test_no_more_than_its_size_is_under_way() -> None:
    in_flight = InFlight(3)
    under_way = most = done = 0

    async def work() -> None:
        nonlocal under_way, most, done
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        done += 1

    for _ in range(20):
        await in_flight.add(work())
    await in_flight.drain()
    assert (most, done) == (3, 20)


async def test_a_failure_ends_the_intake_and_the_rest_still_finishes() -> None:
    in_flight = InFlight(2)
    finish = asyncio.Event()
    finished: list[str] = []

    async def fail() -> None:
        raise ConnectionError("first")

    async def work(name: str) -> None:
        await finish.wait()
        finished.append(name)

    await in_flight.add(work("in hand"))
    await in_flight.add(fail())
    with pytest.raises(ConnectionError, match="first"):
        await in_flight.add(work("refused"))
    finish.set()
    with pytest.raises(ConnectionError, match="first"):
        await in_flight.drain()
    assert finished == ["in hand"]


async def test_work_that_is_cancelled_counts_as_a_lost_connection() -> None:
    in_flight = InFlight(2)

    async def give_up() -> None:
        raise asyncio.CancelledError

    await in_flight.add(give_up())
    with pytest.raises(ConnectionError):
        await in_flight.drain()

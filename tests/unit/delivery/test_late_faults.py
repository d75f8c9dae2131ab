"""An endpoint that can't digest one message says so too late, when all of them are handed over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.unit.delivery.fleet import Fleet, Seen
from tests.unit.delivery.lane_parts import TIMEOUT, Bench
from tests.unit.delivery.virtual_time import after, in_virtual_time
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.adobe.streaming import OutgoingMessage
from worker.integrations.model import Integration
from worker.reasons import ErrorCode

FAULT = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "HTTP 500", 500)
BUSY = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "HTTP 503", 503)
BAD = "u7@northwind.example"
BUDGET_SECONDS = 300


class Picky(Seen):
    """Answers at once, as a rule; after five seconds with HTTP 500 what has a bad message in it."""

    async def send(
        self, target: Integration, messages: Sequence[OutgoingMessage]
    ) -> list[Accepted | Retryable | Permanent] | Retryable | Permanent:
        replies = await super().send(target, messages)
        if any(one.record["personalEmail"]["address"] == BAD for one in messages):
            await asyncio.sleep(5)
            return FAULT
        await asyncio.sleep(0.1)
        return replies


@in_virtual_time
@pytest.mark.parametrize("events", [20, 200])
@pytest.mark.parametrize("workers", [1, 3])
async def test_the_innocent_are_delivered_and_only_the_bad_one_is_dead(
    events: int, workers: int
) -> None:
    fleet = Fleet(workers, Picky())
    for _ in range(6):  # as usual, before the bad one comes
        fleet.publish(1)
        await after(0.3)
    fleet.publish(events)
    await after(BUDGET_SECONDS)
    assert fleet.told.count("delivered") == 6 + events - 1
    await after(BUDGET_SECONDS)
    assert fleet.told.count("dead") == len(fleet.line.letters) == 1
    assert fleet.line.letters[0]["consent-http-status"] == 500
    assert len(fleet.adobe.times[BAD]) >= 6


async def a_late_answer(bench: Bench, *users: str, reply: Retryable = FAULT) -> None:
    await bench.offer(*users)
    bench.mark_sent()
    await after(5)
    assert [one.user for one in bench.handed_over] == list(users)
    await bench.rounds.latest.answer(reply)
    bench.handed_over.clear()
    await after(6)  # until a probe may go


async def handed_over_after(bench: Bench, behind: int = 0) -> float | None:
    """How long the next request is without an answer when its events leave the worker's hands."""
    await bench.offer("ida")
    bench.mark_sent()
    for _ in range(behind):
        bench.hand.message()
    for seconds in range(1, 29):
        await after(1)
        if bench.handed_over:
            return seconds
    await bench.rounds.latest.answer(TIMEOUT)
    return None


@in_virtual_time
@pytest.mark.parametrize("behind", [0, 1_000])
async def test_the_next_answers_are_waited_for_also_where_many_come_behind_them(
    behind: int,
) -> None:
    bench = Bench()
    await a_late_answer(bench, "lena", "ole")
    assert await handed_over_after(bench, behind) is None
    await after(BUDGET_SECONDS)
    assert await handed_over_after(bench) == 3, "no longer than one event is tried"


@in_virtual_time
async def test_a_fault_is_late_also_where_many_came_behind_its_request() -> None:
    """Then its events were handed over after a second, and it came before the usual time."""
    bench = Bench()
    await bench.offer("lena", "ole")
    bench.mark_sent()
    for _ in range(1_000):
        bench.hand.message()
    await after(2)
    assert len(bench.handed_over) == 2
    await bench.rounds.latest.answer(FAULT)
    bench.handed_over.clear()
    await after(6)
    assert await handed_over_after(bench) is None


@in_virtual_time
@pytest.mark.parametrize(
    ("users", "reply"), [(("lena",), FAULT), (("lena", "ole"), BUSY)], ids=["alone", "busy"]
)
async def test_where_no_fault_is_to_be_found_what_hangs_leaves_the_hands_as_ever(
    users: tuple[str, ...], reply: Retryable
) -> None:
    bench = Bench()
    await a_late_answer(bench, *users, reply=reply)
    assert await handed_over_after(bench) == 3

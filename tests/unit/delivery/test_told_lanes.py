"""What is told of lanes among the receipts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import orjson

from tests.unit.delivery.parts import Store
from tests.unit.delivery.pipeline_parts import NOON, Adobe, Worker, body
from tests.unit.delivery.virtual_time import in_virtual_time
from worker.adobe.replies import Accepted, Retryable
from worker.delivery.lanes.endpoint_health import FAILS_AFTER
from worker.delivery.outcome import Failure
from worker.evidence.chain import Chain
from worker.evidence.heading import read_message
from worker.evidence.receipt import MOST_ROW_BYTES
from worker.reasons import ErrorCode
from worker.receipts.unreceipted import Unreceipted
from worker.service.oldest_in_hand import Oldest, oldest_in_hand
from worker.service.told_lanes import LaneStates
from worker.service.worker_facts import WorkerFacts

NOON_MS = round(NOON * 1000)
WIDE = 10_000


@in_virtual_time
async def test_since_is_when_a_state_was_told_first() -> None:
    worker, states = Worker(Adobe(), Store()), LaneStates()
    await worker.take(body("ev-1"))
    lanes = list(worker.pipeline.lanes)

    def told(now_ms: int) -> tuple[str, int]:
        (one,) = states.told(lanes, now_ms, WIDE)
        return one["state"], one["since"]

    assert [told(1), told(2)] == [("well", 1), ("well", 1)]
    lanes[0].block.failed(Failure(ErrorCode.ADOBE_REFUSED, "no right"), 0.0)
    assert [told(3), told(4)] == [("blocked", 3), ("blocked", 3)]
    lanes[0].block.end()
    assert told(5) == ("well", 5)
    assert states.told([], 6, WIDE) == []
    assert told(7) == ("well", 7), "a lane that was gone is another one"


@in_virtual_time
async def test_a_failing_lane_says_what_its_endpoint_answers() -> None:
    worker, states = Worker(Adobe(), Store()), LaneStates()
    await worker.take(body("ev-1"))
    lanes = list(worker.pipeline.lanes)
    trouble = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "Service Unavailable", 503)
    for _ in range(FAILS_AFTER):
        lanes[0].health.learn([("ev-1", trouble)], 0.0, 60.0)
    (one,) = states.told(lanes, 1, WIDE)
    assert (one["state"], one["error"]) == ("failing", "adobe-unavailable")
    assert one["words"] == "Service Unavailable"
    lanes[0].health.learn([("ev-1", Accepted(None))], 0.0, 60.0)
    (one,) = states.told(lanes, 1, WIDE)
    assert (one["state"], one["error"], one["words"]) == ("well", "", "")


@in_virtual_time
async def test_no_more_lanes_than_there_is_room_for() -> None:
    worker, states = Worker(Adobe(), Store()), LaneStates()
    await worker.take(body("ev-1"))
    lanes = list(worker.pipeline.lanes) * 3
    size = len(orjson.dumps(states.told(lanes, 1, WIDE)[0])) + 1
    assert [len(states.told(lanes, 1, most)) for most in (size - 1, size, 2 * size)] == [0, 1, 2]


@in_virtual_time
async def test_a_state_fits_its_row_with_all_that_there_is_to_tell() -> None:
    worker = Worker(Adobe(), Store())
    await worker.take(body("ev-1"))
    lanes = list(worker.pipeline.lanes) * 1_000
    parts = SimpleNamespace(broker=None, client=None, pipeline=worker.pipeline, lanes=lambda: lanes)
    facts = WorkerFacts(cast("Any", parts))
    assert len(facts.state_row({})) <= MOST_ROW_BYTES
    for number in range(1_000):
        worker.pipeline.parked_again.note(f"customer-{number:04}", NOON_MS)
    row = facts.state_row({})
    assert len(row) <= MOST_ROW_BYTES, "lanes make room for it"
    told = orjson.loads(row)
    assert told["parked_again"]["customer-0000"] == NOON_MS
    assert 0 < len(told["parked_again"]) < 1_000
    assert told["lanes"]


@in_virtual_time
async def test_a_state_can_be_read_after_the_receipts_of_very_many_were_away() -> None:
    worker, unreceipted = Worker(Adobe(), Store()), Unreceipted()
    await worker.take(body("ev-1"))
    lanes = list(worker.pipeline.lanes) * 1_000
    parts = SimpleNamespace(broker=None, client=None, pipeline=worker.pipeline, lanes=lambda: lanes)
    for number in range(1_000):
        worker.pipeline.parked_again.note(f"customer-{number:04}", NOON_MS)
        for _ in range(1 + number % 9):
            unreceipted.add(f"{number:0128}")
    unreceipted.by_integration[f"{8:0128}"] += 2**40
    row = WorkerFacts(cast("Any", parts)).state_row(unreceipted.so_far())
    message = Chain("host:1", b"").message("state", [row], NOON_MS)
    assert read_message(message).rows == (row,)
    told = orjson.loads(row)
    assert told["lanes"], "there is room for them all the same"
    assert told["parked_again"]
    assert sum(told["unreceipted"].values()) == unreceipted.total, "the ledger goes by the sum"
    assert told["unreceipted"][f"{8:0128}"] == 9 + 2**40, "those with most have their own number"


@in_virtual_time
async def test_the_oldest_in_hand_is_never_of_the_future() -> None:
    adobe = Adobe()
    worker = Worker(adobe, Store())
    assert oldest_in_hand(worker.pipeline.lanes, NOON_MS) == Oldest(None, None)
    adobe.answers.clear()
    await worker.take(body("ev-1", ago=60, user="a"))
    await worker.take(body("ev-2", ago=30, user="b", enabled=False))
    await worker.take(body("ev-3", ago=90, user="c"))
    made = [NOON_MS - 90_000, NOON_MS - 30_000]
    assert list(oldest_in_hand(worker.pipeline.lanes, NOON_MS)) == made
    before = NOON_MS - 60_000
    assert list(oldest_in_hand(worker.pipeline.lanes, before)) == [made[0], before]
    adobe.answers.set()


@in_virtual_time
async def test_requests_that_are_allowed_and_the_token_are_told() -> None:
    worker, states = Worker(Adobe(), Store()), LaneStates()
    await worker.take(body("ev-1"))
    lanes = list(worker.pipeline.lanes)
    (one,) = states.told(lanes, 1, WIDE)
    assert (one["allowed"], one["token_seconds"]) == (lanes[0].window.size, None)
    lanes[0].window.overloaded(lanes[0].window.epoch)
    (one,) = states.told(lanes, 1, WIDE, lambda _: 61.9)
    assert (one["allowed"], one["token_seconds"]) == (lanes[0].window.size, 61)
    (one,) = states.told(lanes, 1, WIDE, lambda _: -3.0)
    assert one["token_seconds"] == 0

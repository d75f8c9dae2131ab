"""A fault of the worker's own costs one event its way, and nobody else anything."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.delivery.lane_parts import OK
from tests.unit.delivery.lane_parts import Bench as LaneBench
from tests.unit.delivery.parts import Store
from tests.unit.delivery.pipeline_parts import SHOP, Adobe, Worker, body
from tests.unit.delivery.test_receipting import AWAY, REFUSED, Book
from tests.unit.delivery.virtual_time import after, in_virtual_time
from tests.unit.examples import integration
from worker.adobe.replies import Accepted, Retryable
from worker.delivery.delivery import Delivery
from worker.delivery.lanes.endpoint_health import EndpointHealth
from worker.delivery.lanes.lane import Lane
from worker.delivery.lanes.waiting_events import Waiting
from worker.delivery.outcome import Dead, Outcome, Parked, Retried
from worker.delivery.rounds.round_results import Crashed, Untried
from worker.integrations.model import Integration
from worker.reasons import ErrorCode
from worker.transform.choice_summary import told_attributes
from worker.transform.decision_types import Deliver

USERS = ("emil", "lena", "omar")
NO_RIGHTS = Retryable(ErrorCode.ADOBE_REFUSED, "HTTP 403", 403)


@pytest.fixture
def _one_receipt_can_not_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of lena's event, whatever its outcome."""

    def faulty(target: Integration, choice: Deliver) -> Any:
        if choice.event_id == "lena":
            raise KeyError("private")
        return told_attributes(target, choice)

    monkeypatch.setattr("worker.delivery.receipting.told_attributes", faulty)


async def _in_one_request(adobe: Adobe, shop: Integration = SHOP) -> tuple[Worker, Book]:
    book = Book()
    worker = Worker(adobe, Store(), shop=shop, receipts=book)
    for user in USERS:
        worker.pipeline.handle(worker.hand.message(body(user, user=user)))
    await after(1)
    return worker, book


def _fail_to_tell(monkeypatch: pytest.MonkeyPatch, worker: Worker, kind: type[Outcome]) -> None:
    """Such an outcome of lena's event."""
    tell = worker.outcome

    def faulty(integration_id: str, outcome: Outcome, seconds: float, event_id: str) -> None:
        if event_id == "lena" and isinstance(outcome, kind):
            raise KeyError("private")
        tell(integration_id, outcome, seconds, event_id)

    monkeypatch.setattr(worker, "outcome", faulty)


@pytest.mark.usefixtures("_one_receipt_can_not_be_made")
@pytest.mark.parametrize(
    ("reply", "told"), [(Accepted("x"), "delivered"), (AWAY, "retried"), (REFUSED, "dead")]
)
@in_virtual_time
async def test_each_event_of_a_request_has_its_outcome(reply: Any, told: str) -> None:
    adobe = Adobe()
    adobe.reply = reply
    worker, book = await _in_one_request(adobe)
    assert adobe.asked == 1 if told != "dead" else adobe.asked > 1
    assert [(one["event"], one["outcome"]) for one in book.written if one["event"] != "lena"] == [
        ("emil", told),
        ("omar", told),
    ]
    (of_lena,) = [one for one in book.written if one["event"] == "lena"]
    assert (of_lena["outcome"], of_lena["reason"], of_lena["attempt"]) == (
        "dead",
        "unexpected-error",
        1,
    )
    assert sorted(worker.told) == sorted([told, told, "dead"])
    assert worker.hand.in_hand == 0
    assert worker.hand.receipted == len(worker.hand.acknowledged) == 3


@in_virtual_time
async def test_a_successor_that_can_not_be_published_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    adobe = Adobe()
    adobe.reply = AWAY
    worker = Worker(adobe, Store())
    publish = worker.hand.host.publish

    def faulty(exchange: str, *more: Any, **named: Any) -> None:
        if exchange == "consent.delay":
            raise KeyError("private")
        publish(exchange, *more, **named)

    monkeypatch.setattr(worker.hand.host, "publish", faulty)
    await worker.take(body("lena"))
    assert worker.latest.headers["consent-dead-reason"] == "unexpected-error"
    assert worker.hand.in_hand == 0
    (lane,) = worker.pipeline.lanes
    assert lane.is_idle


@pytest.mark.parametrize(
    ("change", "of_lena"),
    [("paused", "parked"), ("room", "parked"), ("state", "dead"), ("block", "dead")],
)
@in_virtual_time
async def test_each_event_that_a_lane_lets_go_of_has_its_outcome(
    monkeypatch: pytest.MonkeyPatch, change: str, of_lena: str
) -> None:
    """They wait behind others of theirs, which are under way."""
    adobe = Adobe()
    worker, book = await _in_one_request(adobe)
    _fail_to_tell(monkeypatch, worker, Parked)
    book.written.clear()
    adobe.answers.clear()
    for user in USERS:
        worker.pipeline.handle(worker.hand.message(body(f"{user}-1", ago=50, user=user)))
    await after(0.01)
    for user in USERS:
        worker.pipeline.handle(worker.hand.message(body(user, ago=40, user=user)))
    await after(0.01)
    if change == "block":
        adobe.reply = NO_RIGHTS
        adobe.answers.set()
    elif change == "room":
        (lane,) = worker.pipeline.lanes
        worker.pipeline.lanes._give_up(lane, worker.hand, len(USERS))
        adobe.answers.set()
    else:
        paused = integration(paused=True, limits={"profile_gap_seconds": 0})
        worker.shop = paused if change == "paused" else SHOP.with_state_id("another")
        await worker.take(body("ida", user="ida"))
        adobe.answers.set()
    await after(10)
    told = {one["event"]: one["outcome"] for one in book.written}
    assert {one: told[one] for one in USERS} == {
        "emil": "parked",
        "lena": of_lena,
        "omar": "parked",
    }
    assert worker.hand.in_hand == 0
    assert worker.hand.receipted == len(worker.hand.acknowledged)


@in_virtual_time
async def test_what_can_not_be_told_of_a_round_keeps_nothing_else_of_it_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def faulty(*_: Any) -> None:
        raise KeyError("private")

    adobe = Adobe()
    adobe.reply = NO_RIGHTS
    worker = Worker(adobe, Store())
    await worker.take(body("lena", user="lena"))
    assert worker.told == ["block", "parked"]
    monkeypatch.setattr(worker, "delivered", faulty)
    adobe.reply = Accepted("x")
    await after(16)
    await worker.take(body("omar", user="omar"))
    assert worker.told[2:] == ["unblocked"]
    (lane,) = worker.pipeline.lanes
    assert not lane.block.is_on
    assert worker.hand.in_hand == 0


@in_virtual_time
async def test_what_is_told_of_a_round_costs_the_lane_no_request() -> None:
    bench = LaneBench(requests_in_flight=1)

    def faulty(_: Lane) -> None:
        raise KeyError("private")

    bench.on_conclude = faulty
    await bench.offer("lena")
    await bench.rounds.latest.answer()
    bench.on_conclude = lambda _: None
    [after_it] = await bench.offer("lena")
    assert bench.rounds.latest.deliveries == [after_it]
    await bench.rounds.latest.answer()
    assert bench.concluded[-1] == (after_it, OK)
    assert bench.lane.is_idle
    assert bench.lane.held == 0


@in_virtual_time
async def test_what_is_learnt_of_a_round_costs_no_event_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = LaneBench(requests_in_flight=1)

    def faulty(*_: Any) -> None:
        raise KeyError("private")

    with monkeypatch.context() as here:
        here.setattr(EndpointHealth, "learn", faulty)
        first = await bench.offer("lena", "omar")
        await bench.rounds.latest.answer()
        assert bench.concluded == [(one, OK) for one in first]
    [of_lena] = await bench.offer("lena")
    assert bench.rounds.latest.deliveries == [of_lena], "she is free"
    await bench.rounds.latest.answer()
    assert bench.lane.is_idle


@in_virtual_time
async def test_what_can_not_wait_on_unsent_is_a_dead_letter_and_others_wait_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = LaneBench()
    put_behind = Waiting.put_behind

    def faulty(waiting: Waiting, delivery: Delivery) -> None:
        if delivery is of_lena:
            raise KeyError("private")
        put_behind(waiting, delivery)

    monkeypatch.setattr(Waiting, "put_behind", faulty)
    of_emil, of_lena, of_omar = await bench.offer("emil", "lena", "omar")
    await bench.rounds.latest.answer(Untried())
    assert bench.concluded == [(of_lena, Crashed("KeyError"))]
    assert bench.rounds.latest.deliveries == [of_emil, of_omar]
    await bench.rounds.latest.answer()
    assert bench.lane.is_idle


@in_virtual_time
async def test_what_can_not_be_handed_over_stays_in_its_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    adobe = Adobe()
    adobe.answers.clear()
    worker = Worker(adobe, Store())
    _fail_to_tell(monkeypatch, worker, Retried)
    for user in USERS:
        worker.pipeline.handle(worker.hand.message(body(user, user=user)))
    await after(5)
    assert worker.told == ["retried", "retried"]
    (lane,) = worker.pipeline.lanes
    assert (worker.hand.in_hand, lane.held) == (1, 1)
    adobe.answers.set()
    await after(1)
    assert worker.told[2:] == ["delivered", "accepted late", "accepted late"]
    assert (worker.hand.in_hand, lane.held) == (0, 0)


@pytest.mark.parametrize("reply", [AWAY, REFUSED])
@in_virtual_time
async def test_an_event_whose_outcome_can_never_be_told_ends_all_the_same(
    reply: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    adobe = Adobe()
    adobe.reply = reply
    worker = Worker(adobe, Store())
    for kind in (Retried, Dead):
        _fail_to_tell(monkeypatch, worker, kind)
    for user in USERS:
        worker.pipeline.handle(worker.hand.message(body(user, user=user)))
    await after(1)
    assert worker.hand.in_hand == 0
    (of_lena,) = [one for one in worker.hand.host.published if b'"lena"' in one.body]
    assert of_lena.headers["consent-dead-reason"] == "unexpected-error"

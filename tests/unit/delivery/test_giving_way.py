"""Thousands of retries that are due at once let fresh events pass, and none of them is lost."""

from __future__ import annotations

from tests.unit.delivery.parts import Hand, Store
from tests.unit.delivery.pipeline_parts import NOON, Adobe, Worker, body
from tests.unit.delivery.virtual_time import after, in_virtual_time, spend
from worker.broker.message import Incoming
from worker.delivery.returned_messages import GivingWay

RETRIES = 1000
HEADERS = {"consent-integration": "shop", "consent-attempts": 1}


class Returning:
    """A worker to which as many retries have come back as the broker may hand out at once."""

    def __init__(self) -> None:
        self.adobe = Adobe()
        self.worker = Worker(self.adobe, Store())

    def come(self) -> None:
        first_attempt = {"consent-first-attempt-at": round((NOON - 10) * 1000)}
        for number in range(RETRIES):
            event = body(f"e{number}", user=f"u{number}")
            message = self.worker.hand.message(event, HEADERS | first_attempt)
            self.worker.pipeline.handle(message)

    @property
    def delivered(self) -> int:
        return self.worker.told.count("delivered")


@in_virtual_time
async def test_while_fresh_events_come_few_of_them_are_handled_at_a_time() -> None:
    returning = Returning()
    returning.worker.hand.is_second = True
    returning.come()
    await after(0.1)
    assert 50 <= returning.delivered <= 150
    await after(1)
    assert returning.delivered == RETRIES
    assert returning.worker.hand.in_hand == 0


@in_virtual_time
async def test_when_no_fresh_event_comes_all_of_them_go_on_at_once() -> None:
    returning = Returning()
    returning.worker.hand.is_second = True
    returning.come()
    returning.worker.hand.is_second = False
    await after(0.1)
    assert returning.delivered == RETRIES


@in_virtual_time
async def test_those_that_take_long_are_fewer_at_a_time() -> None:
    """As with a great many headers: a heartbeat of the connection has its turn between them."""
    hand, handled = Hand(), 0

    def handle(_: Incoming) -> None:
        nonlocal handled
        handled += 1
        spend(0.01)

    hand.is_second = True
    giving_way = GivingWay(handle)
    for _ in range(20):
        giving_way.add(hand.message())
    while handled < 20:
        before = handled
        await after(0.021)
        assert handled - before in {1, 2}


@in_virtual_time
async def test_what_the_broker_has_again_is_not_handled_here() -> None:
    returning = Returning()
    returning.worker.hand.is_second = True
    returning.come()
    returning.worker.hand.host.lost.set()
    returning.worker.pipeline.session_ended(returning.worker.hand.host)
    await after(2)
    assert (returning.delivered, returning.adobe.asked) == (0, 0)

"""Rules of the pipeline that nothing else would miss if they were gone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.delivery.parts import GATHERED_SECONDS, Hand, Published, Store
from tests.unit.delivery.pipeline_parts import SHOP, Adobe, Worker, body
from tests.unit.delivery.virtual_time import after, in_virtual_time
from worker.broker import headers as names
from worker.broker.message import Incoming
from worker.delivery.screening import SUSPECT_AFTER
from worker.integrations.model import Integration
from worker.ordering.store_protocol import StoreUnavailable

SUSPECTS = "consent.suspects"


async def _take(worker: Worker, hand: Hand, headers: dict[str, Any]) -> list[Published]:
    """What is published for a message that comes by this hand."""
    worker.pipeline.handle(hand.message(body("e1"), headers))
    await after(GATHERED_SECONDS)
    return hand.host.published


def _reasons(letters: list[Published]) -> list[str]:
    return [one.headers[names.DEAD_REASON] for one in letters]


@in_virtual_time
async def test_a_replay_for_an_integration_that_is_disabled_is_dead() -> None:
    worker = Worker(Adobe(), Store(), shop=SHOP.model_copy(update={"enabled": False}))
    letters = await _take(worker, worker.hand, {names.INTEGRATION: "shop"})
    assert _reasons(letters) == ["integration-disabled"]
    assert worker.hand.acknowledged == [1]


class Faulty(Worker):
    """There are three integrations, and for the second one our own code fails."""

    def undoubted_for(self, _: str) -> list[Integration]:
        other = self.shop.model_copy(update={"id": "other"})
        object.__setattr__(other, "limits", None)
        return [self.shop, other, self.shop.model_copy(update={"id": "third"})]


@in_virtual_time
async def test_a_bug_in_the_handler_becomes_one_dead_letter_of_the_whole_message() -> None:
    worker = Faulty(Adobe(), Store())
    letters = await _take(worker, worker.hand, {})
    assert _reasons(letters) == ["unexpected-error"]
    assert letters[0].body == body("e1")
    assert names.INTEGRATION not in letters[0].headers
    assert worker.hand.acknowledged == [1], "once, whatever its other deliveries do"


@in_virtual_time
async def test_a_message_that_is_returned_twice_is_moved_to_the_suspects_unread() -> None:
    worker = Worker(Adobe(), Store())
    moved = await _take(worker, worker.hand, {names.RETURNS: SUSPECT_AFTER})
    assert [one.routing_key for one in moved] == [SUSPECTS]
    assert worker.told == []
    assert worker.hand.acknowledged == [1]


@in_virtual_time
async def test_a_message_that_is_returned_once_is_handled_as_any_other() -> None:
    worker = Worker(Adobe(), Store())
    assert await _take(worker, worker.hand, {names.RETURNS: SUSPECT_AFTER - 1}) == []
    assert worker.told == ["delivered"]


@in_virtual_time
@pytest.mark.parametrize(("returns", "told"), [(4, "delivered"), (5, "dead")])
async def test_a_suspect_that_takes_its_worker_down_so_often_is_poison(
    returns: int, told: str
) -> None:
    worker, hand = Worker(Adobe(), Store()), Hand(SUSPECTS, 1)
    letters = await _take(worker, hand, {names.RETURNS: returns})
    assert worker.told == [told]
    assert _reasons(letters) == (["poison"] if told == "dead" else [])
    assert hand.acknowledged == [1]


@in_virtual_time
async def test_a_suspect_is_parked_while_the_state_is_away_and_so_never_becomes_poison() -> None:
    """In hand it would be returned each time that the broker's patience ends, which counts."""
    worker, hand = Worker(Adobe(), Store()), Hand(SUSPECTS, 1)
    worker.gate.close(StoreUnavailable("Redis is away"))
    parked = await _take(worker, hand, {names.RETURNS: SUSPECT_AFTER})
    assert worker.told == ["parked"]
    assert len(parked) == 1
    assert hand.acknowledged == [1]


@in_virtual_time
async def test_a_suspect_is_not_moved_again() -> None:
    worker, hand = Worker(Adobe(), Store()), Hand(SUSPECTS, 1)
    message: Incoming = hand.message(body("e1"), {names.RETURNS: SUSPECT_AFTER})
    worker.pipeline.handle(message)
    await after(GATHERED_SECONDS)
    assert worker.told == ["delivered"]

"""What a newer version has written waits for it, with all that it says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.delivery.parts import Hand, Published, Store
from tests.unit.delivery.pipeline_parts import Adobe, Worker, body
from tests.unit.delivery.virtual_time import after, in_virtual_time
from worker.broker.headers import CONTRACT, CONTRACT_VERSION, DUE_AT

NEWER: dict[str, Any] = {
    CONTRACT: CONTRACT_VERSION + 1,
    "consent-integration": "shop",
    "consent-attempts": "in another way",
    "consent-of-that-version": "kept",
    "traceparent": "00-ab",
}


async def _given(queue: str, headers: dict[str, Any]) -> tuple[Worker, Adobe]:
    adobe = Adobe()
    worker = Worker(adobe, Store())
    worker.hand = Hand(queue)
    await worker.take(body("e1"), headers)
    await after(1)
    return worker, adobe


def _parked(worker: Worker) -> Published:
    (published,) = worker.hand.host.published
    return published


@pytest.mark.parametrize("more", [{}, {"consent-bundle": 3}])
@pytest.mark.parametrize("queue", ["consent.retries", "consent.parked", "consent.suspects"])
@in_virtual_time
async def test_it_is_parked_as_it_is(queue: str, more: dict[str, Any]) -> None:
    worker, adobe = await _given(queue, NEWER | more)
    parked = _parked(worker)
    assert (parked.exchange, parked.routing_key) == ("consent.delay", "64s.parked")
    assert parked.body == body("e1")
    assert {name: value for name, value in parked.headers.items() if name != DUE_AT} == NEWER | more
    assert worker.hand.acknowledged == [1], "after the broker has confirmed it"
    assert worker.told == ["parked again"] * more.get("consent-bundle", 1)
    assert adobe.asked == 0


@pytest.mark.parametrize("said", [CONTRACT_VERSION, 1, "99", True, -1, None])
@in_virtual_time
async def test_what_this_version_can_read_goes_its_way(said: Any) -> None:
    worker, _ = await _given("consent.retries", {"consent-integration": "shop", CONTRACT: said})
    assert worker.told == ["delivered"]


@pytest.mark.parametrize("queue", ["consent.events", "consent.events.2"])
@in_virtual_time
async def test_a_producer_knows_of_no_contract(queue: str) -> None:
    worker, _ = await _given(queue, {CONTRACT: CONTRACT_VERSION + 1})
    assert worker.told == ["delivered"]


@in_virtual_time
async def test_what_is_published_again_tells_its_contract() -> None:
    worker, adobe = await _given("consent.events", {})
    adobe.answers.clear()
    await worker.take(b"no json")
    assert worker.latest.headers[CONTRACT] == CONTRACT_VERSION

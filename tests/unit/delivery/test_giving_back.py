"""A worker that stops has nothing in hand soon, whatever its endpoint, its state and the events."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from pamqp.commands import Basic
from pamqp.header import ContentHeader

from tests.unit.delivery.fleet import Fleet
from tests.unit.delivery.parts import Hand, Line
from tests.unit.delivery.pipeline_parts import NOON, body
from tests.unit.delivery.virtual_time import after, in_virtual_time
from worker.broker.headers import ATTEMPTS, BUNDLE, PARKS, RETURNED
from worker.broker.message import Host
from worker.delivery.bundles.bundle_format import pack
from worker.ordering.store_protocol import Claim, Contended, Granted

LENA = "u1@northwind.example"
LAST_OF_HER = 290
"""Seconds since the first of her six attempts: no retry is left after the one that begins now."""


class Stopping(Fleet):
    """A fleet of one worker, whose session can be told to end; what it publishes then is taken by
    the same worker again.
    """

    def give_back(self) -> None:
        host: Host = self.line
        for worker in self.workers:
            worker.pipeline.give_back(host)

    @property
    def in_hand(self) -> int:
        return sum(hand.in_hand for hand in self.hands.values())


def last_attempt() -> dict[str, Any]:
    return {
        "consent_integration": "shop",
        "consent_attempts": 5,
        "consent_first_attempt_at": round((NOON - LAST_OF_HER) * 1000),
        "consent_elapsed": LAST_OF_HER * 1000,
    }


@in_virtual_time
async def test_a_request_without_an_answer_goes_on_and_its_events_are_not_in_hand() -> None:
    fleet = Stopping()
    fleet.adobe.answers.clear()
    fleet.publish(20)
    await after(1)
    assert fleet.in_hand == 20
    fleet.give_back()
    await after(0.3)
    assert fleet.in_hand == 0
    assert fleet.adobe.under_way == 1
    fleet.adobe.answers.set()
    await after(100)
    assert fleet.told == ["retried"] * 20 + ["accepted late"] * 20 + ["delivered"] * 20
    assert {len(times) for times in fleet.adobe.times.values()} == {1}


@in_virtual_time
async def test_what_waits_behind_a_request_is_parked_and_sent_later() -> None:
    fleet = Stopping()
    fleet.adobe.answers.clear()
    fleet.publish(1)
    await after(0.5)
    fleet.publish_newer()
    await after(0.5)
    fleet.give_back()
    await after(0.3)
    assert fleet.in_hand == 0
    assert fleet.told == ["parked", "retried"]
    fleet.adobe.answers.set()
    await after(100)
    assert len(fleet.adobe.times[LENA]) == 2
    assert [one["news"] for one in fleet.adobe.records] == [True, False]


@in_virtual_time
async def test_the_last_attempt_of_an_event_is_not_in_hand_either() -> None:
    fleet = Stopping()
    fleet.adobe.answers.clear()
    fleet.give(body("e1", user="u1"), **last_attempt())
    await after(1)
    fleet.give_back()
    await after(0.3)
    assert fleet.in_hand == 0
    fleet.adobe.answers.set()
    await after(100)
    assert fleet.told == ["retried", "accepted late", "delivered"]
    assert fleet.line.letters == []


@in_virtual_time
async def test_without_an_answer_to_the_last_attempt_it_is_dead_when_that_is_over() -> None:
    fleet = Stopping()
    fleet.adobe.answers.clear()
    fleet.give(body("e1", user="u1"), **last_attempt())
    await after(1)
    fleet.give_back()
    await after(100)
    [letter] = fleet.line.letters
    assert letter[ATTEMPTS] >= 6
    assert fleet.in_hand == 0


@in_virtual_time
async def test_a_repeat_is_not_in_hand_and_is_sent_again() -> None:
    fleet = Stopping()
    fleet.publish(1)
    await after(1)
    fleet.adobe.answers.clear()
    fleet.give(body("e1", user="u1"), consent_integration="shop", consent_repeat=1)
    await after(1)
    assert fleet.in_hand == 1
    fleet.give_back()
    await after(0.3)
    assert fleet.in_hand == 0
    fleet.adobe.answers.set()
    await after(100)
    assert fleet.told[-1] == "repeat of e1: repeated"
    assert fleet.line.letters == []


@in_virtual_time
async def test_what_waits_for_the_state_is_not_in_hand_and_delivered_once() -> None:
    fleet = Stopping()
    goes_on = asyncio.Event()
    begin = fleet.store.begin

    async def late(state_id: str, claims: Sequence[Claim]) -> list[Granted | Contended]:
        await goes_on.wait()
        return await begin(state_id, claims)

    fleet.store.begin = late  # type: ignore[method-assign]
    fleet.publish(3)
    await after(1)
    assert fleet.in_hand == 3
    fleet.give_back()
    await after(0.3)
    assert fleet.in_hand == 0
    goes_on.set()
    await after(100)
    assert {len(times) for times in fleet.adobe.times.values()} == {1}
    assert fleet.told.count("delivered") == 3


@in_virtual_time
async def test_what_nothing_is_known_to_be_sent_of_may_be_at_adobe_all_the_same() -> None:
    """The worker may send it after that, and end before the answer."""
    fleet = Stopping()
    fleet.store.begin = _never  # type: ignore[method-assign]
    fleet.publish(1)
    given_out: list[dict[str, Any]] = []
    fleet.line.take = lambda _, headers, queue: given_out.append(headers)
    await after(1)
    fleet.give_back()
    await after(40)
    [headers] = given_out
    assert headers[RETURNED] == 1
    assert ATTEMPTS not in headers


async def _never(state_id: str, claims: Sequence[Claim]) -> list[Granted | Contended]:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("it never ends")


@in_virtual_time
async def test_a_bundle_whose_turn_has_not_come_goes_as_it_is() -> None:
    fleet = Stopping()
    hand = fleet.hands[0, "consent.parked"] = Hand("consent.parked")
    hand.host, hand.is_second = fleet.line, True
    header = ContentHeader(0, 0, Basic.Properties()).marshal()
    content = pack((header, body(f"e{one}", user=f"u{one}")) for one in range(500))
    headers = {"consent-integration": "shop", BUNDLE: 500, PARKS: 2}
    for _ in range(3):
        fleet.workers[0].pipeline.handle(hand.message(content, headers))
    given_out: list[dict[str, Any]] = []
    fleet.line.take = lambda _, headers, queue: given_out.append(headers | {"queue": queue})
    fleet.give_back()
    assert fleet.told == ["parked again"] * 1500
    await after(5)
    assert fleet.in_hand == 0
    assert [(one[BUNDLE], one[PARKS], one["queue"]) for one in given_out] == [
        (500, 2, "consent.parked")
    ] * 3


@in_virtual_time
async def test_nothing_is_published_by_a_session_that_is_lost() -> None:
    fleet = Stopping()
    fleet.adobe.answers.clear()
    fleet.publish(5)
    await after(1)
    fleet.line.lost.set()
    line: Line = fleet.line
    fleet.give_back()
    await after(0.3)
    assert line.published == []
    assert fleet.told == []

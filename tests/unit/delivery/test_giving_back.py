"""A worker that stops has nothing in hand soon, whatever its endpoint, its state and the events."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from tests.unit.delivery.fleet import Fleet
from tests.unit.delivery.parts import Hand, Line, Store
from tests.unit.delivery.pipeline_parts import NOON, Adobe, Worker, body
from tests.unit.delivery.test_completion import LOOKED_UP
from tests.unit.delivery.test_inlets import Inlet
from tests.unit.delivery.test_refused_form import Told
from tests.unit.delivery.test_told_ids import body as snapshot
from tests.unit.delivery.virtual_time import after, in_virtual_time
from worker.adobe.replies import Accepted, Retryable
from worker.broker.headers import ATTEMPTS, BUNDLE, CONTRACT, EPOCH, PARKS
from worker.broker.message import Host
from worker.delivery.bundles.bundle_format import pack
from worker.ordering.store_protocol import Claim, Contended, Granted
from worker.reasons import ErrorCode

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
    assert "accepted late" not in fleet.told
    assert fleet.line.letters == []


@in_virtual_time
async def test_what_waits_for_the_state_is_not_in_hand_and_sent_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fleet = Stopping()
    goes_on = asyncio.Event()
    begin = fleet.store.begin

    async def late(state_id: str, claims: Sequence[Claim]) -> list[Granted | Contended]:
        await goes_on.wait()
        return await begin(state_id, claims)

    monkeypatch.setattr(fleet.store, "begin", late)
    fleet.publish(3)
    await after(1)
    assert fleet.in_hand == 3
    fleet.give_back()
    await after(0.3)
    assert fleet.in_hand == 0
    goes_on.set()
    await after(100)
    assert {len(times) for times in fleet.adobe.times.values()} == {1}
    assert fleet.told == ["parked"] * 3 + ["delivered"] * 3


@in_virtual_time
async def test_a_round_that_has_just_ended_has_ended_its_events() -> None:
    """Its task is done one turn of the loop later."""
    fleet = Stopping()
    fleet.adobe.answers.clear()
    fleet.publish(3)
    await after(1)
    fleet.adobe.answers.set()
    while not fleet.told:  # noqa: ASYNC110 - each turn of the loop
        await asyncio.sleep(0)
    fleet.give_back()
    await after(100)
    assert fleet.told == ["delivered"] * 3


@in_virtual_time
async def test_a_copy_that_waits_for_the_round_of_others_is_a_duplicate_all_the_same() -> None:
    fleet = Stopping()
    fleet.publish(1)
    await after(1)
    fleet.adobe.answers.clear()
    fleet.publish(1)
    fleet._take(body("e1", user="u1"), {}, "consent.events")
    await after(1)
    fleet.give_back()
    fleet.adobe.answers.set()
    await after(100)
    assert sorted(fleet.told[1:]) == [
        "accepted late", "delivered", "duplicate", "parked", "retried"
    ]  # fmt: skip


@in_virtual_time
async def test_a_repeat_that_a_newer_choice_has_overtaken_is_no_second_outcome() -> None:
    fleet = Stopping()
    fleet.publish(1)
    await after(1)
    fleet.adobe.answers.clear()
    fleet.give(body("e1", user="u1"), consent_integration="shop", consent_repeat=1)
    await after(1)
    fleet.give_back()
    fleet.adobe.answers.set()
    fleet.publish_newer()
    await after(100)
    assert fleet.told.count("delivered") == 2, "the first and the newer one"
    assert fleet.told[-1] == "repeat of e1: superseded"


def bundle(events: int) -> bytes:
    """The events of so many users."""
    bodies = [body(f"e{one}", user=f"u{one}") for one in range(events)]
    return pack((ContentHeader(0, len(one), Basic.Properties()).marshal(), one) for one in bodies)


@in_virtual_time
async def test_a_bundle_whose_turn_has_not_come_goes_as_it_is() -> None:
    fleet = Stopping()
    hand = fleet.hands[0, "consent.parked"] = Hand("consent.parked")
    hand.host, hand.is_second = fleet.line, True
    content = bundle(500)
    headers = {"consent-integration": "shop", BUNDLE: 500, PARKS: 2}
    for _ in range(3):
        fleet.workers[0].pipeline.handle(hand.message(content, headers))
    given_out: list[dict[str, Any]] = []
    fleet.line.take = lambda _, headers, queue: given_out.append(headers | {"queue": queue})
    fleet.give_back()
    assert fleet.told == ["parked again"] * 1500, "and not what is in them"
    await after(5)
    assert fleet.in_hand == 0
    assert [(one[BUNDLE], one[PARKS], one["queue"]) for one in given_out] == [
        (500, 2, "consent.parked")
    ] * 3


@in_virtual_time
async def test_a_bundle_of_a_producer_has_no_say_in_what_workers_tell_each_other() -> None:
    fleet = Stopping()
    hand = fleet.hands[0, "consent.events"] = Hand("consent.events")
    hand.host, hand.is_second = fleet.line, True
    forged = {BUNDLE: 2, EPOCH: "0" * 15 + "1", CONTRACT: 99}
    for _ in range(3):
        fleet.workers[0].pipeline.handle(hand.message(b"no bundle", forged))
    fleet.give_back()
    await after(5)
    assert fleet.in_hand == 0
    assert len(fleet.line.letters) == 3
    assert not any(EPOCH in one or one[CONTRACT] == 99 for one in fleet.line.letters)


@in_virtual_time
async def test_a_bundle_that_the_broker_takes_no_more_is_opened() -> None:
    fleet = Stopping()
    fleet.line.most_bytes = 5_000
    hand = fleet.hands[0, "consent.parked"] = Hand("consent.parked")
    hand.host, hand.is_second = fleet.line, True
    for _ in range(2):
        headers = {"consent-integration": "shop", BUNDLE: 50}
        fleet.workers[0].pipeline.handle(hand.message(bundle(50), headers))
    fleet.give_back()
    await after(5)
    assert fleet.told.count("delivered") + fleet.told.count("duplicate") == 100
    assert fleet.in_hand == 0
    assert hand.refused == []


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


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Accepted("x"), ["retried", "accepted late"]),
        (Retryable(ErrorCode.ADOBE_UNAVAILABLE, "HTTP 503", 503), ["retried"]),
    ],
)
@in_virtual_time
async def test_what_is_tried_in_the_other_form_is_handed_over_and_ends_once(
    reply: Accepted | Retryable, told: list[str]
) -> None:
    inlet = Inlet("xdm")
    worker = Told(inlet, Store())
    await worker.begin()
    inlet.answers.clear()
    await worker.take(snapshot())
    await after(1)
    assert inlet.forms == ["upsert", "xdm"]
    worker.pipeline.give_back(worker.hand.host)
    await after(0.3)
    assert worker.hand.in_hand == 0
    inlet.reply = reply
    inlet.answers.set()
    await after(1)
    assert worker.told == told


@in_virtual_time
async def test_what_is_tried_in_the_other_form_is_waited_for_at_a_stop() -> None:
    inlet = Inlet("xdm")
    worker = Told(inlet, Store())
    await worker.begin()
    inlet.answers.clear()
    await worker.take(snapshot())
    await after(1)
    worker.pipeline.give_back(worker.hand.host)
    waiting = asyncio.create_task(worker.pipeline.lanes.wait_for_rounds(25))
    await after(5)
    assert not waiting.done()
    inlet.answers.set()
    await after(1)
    assert waiting.done()
    assert worker.told == ["retried", "accepted late"]


@in_virtual_time
async def test_a_trial_that_has_just_ended_has_ended_its_event() -> None:
    inlet = Inlet("xdm")
    worker = Told(inlet, Store())
    await worker.begin()
    inlet.answers.clear()
    await worker.take(snapshot())
    await after(1)
    inlet.answers.set()
    while not worker.told:  # noqa: ASYNC110 - each turn of the loop
        await asyncio.sleep(0)
    worker.pipeline.give_back(worker.hand.host)
    await after(1)
    assert worker.told == ["delivered"]


class Slow(Adobe):
    """Its profiles answer when they may."""

    def __init__(self) -> None:
        super().__init__()
        self.tells = asyncio.Event()
        self.tells.set()

    async def look_up_record(self, *_: object) -> Mapping[str, Any] | Retryable:
        await self.tells.wait()
        return {}


@in_virtual_time
async def test_who_need_not_be_looked_up_does_not_go_with_those_who_were_asked_for() -> None:
    adobe = Slow()
    worker = Worker(adobe, Store(), shop=LOOKED_UP)
    await worker.take(body("e1", user="lena"))
    await after(1)
    adobe.tells.clear()
    worker.pipeline.handle(worker.hand.message(body("e2", user="omar")))
    worker.pipeline.handle(worker.hand.message(body("e3", ago=30, enabled=False, user="lena")))
    await after(1)
    assert worker.told == ["delivered"], "both are in one round, which waits for what omar has"
    worker.pipeline.give_back(worker.hand.host)
    await after(0.3)
    assert worker.hand.in_hand == 0
    adobe.tells.set()
    await after(1)
    assert sorted(worker.told) == ["accepted late", "delivered", "parked", "retried"]
    assert adobe.records == [{"news": True}, {"news": True}], "lena's goes by its copy"

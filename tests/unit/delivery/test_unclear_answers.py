"""Which answers leave a mark beside the stamps of whom, and of which choice it speaks."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.delivery.parts import Hand, Store, event
from tests.unit.delivery.pipeline_parts import Adobe, Worker
from tests.unit.delivery.records import snapshot
from tests.unit.delivery.virtual_time import after, in_virtual_time
from tests.unit.examples import integration
from worker.adobe.attempt_deadline import being_watched
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.adobe.streaming import OutgoingMessage
from worker.broker.headers import REPEAT
from worker.delivery.delivery import Delivery
from worker.delivery.rounds.request_slots import RequestSlots
from worker.delivery.rounds.round_runner import AdobeRounds
from worker.delivery.rounds.store_gate import StoreGate
from worker.integrations.model import Integration
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import UNCLEAR
from worker.reasons import ErrorCode

ATTEMPT_SECONDS, UNCLEAR_SECONDS = 30, 120
OK = Accepted("x")
GATEWAY = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "HTTP 504", 504, is_unclear=True)
AWAY = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "HTTP 503", 503)
REFUSED = Permanent(ErrorCode.ADOBE_REJECTED, "HTTP 400", 400)
SHOP = integration(
    mappings=[
        {"id": f"_acme.{one}", "value": f"consents_purposes_{one}_enabled"}
        for one in ("news", "offers")
    ]
)


class Bench:
    """A runner whose requests are answered one after the other by `answers`."""

    def __init__(self, *answers: Any) -> None:
        self.store = Store()
        self.hand = Hand()
        self._answers = list(answers)

    async def look_up(self, *_: object) -> None:
        raise AssertionError("nothing is to be looked up")

    async def look_up_record(self, *_: object) -> Retryable:
        raise AssertionError("no record is to be looked up")

    async def send(self, integration: Integration, messages: Sequence[OutgoingMessage]) -> Any:
        answer = self._answers.pop(0)
        made = answer() if callable(answer) else answer
        return await made if inspect.isawaitable(made) else made

    def event(self, user: str, minute: int, **purposes: Any) -> Delivery:
        return event(self.hand, SHOP, user, minute=minute, **purposes)

    async def deliver(self, *groups: list[Delivery]) -> dict[str, Stamp | None]:
        """The mark that is written for each user."""
        runner = AdobeRounds(self, StoreGate(self.store), ATTEMPT_SECONDS, UNCLEAR_SECONDS)
        await runner.deliver(SHOP, list(groups), RequestSlots(8))
        return {one.user: one.written.get(UNCLEAR) for one in self.store.settlements}


def _time(mark: Stamp | None) -> int | None:
    return None if mark is None else mark.updated_ms


@in_virtual_time
@pytest.mark.parametrize(
    ("answer", "is_marked"),
    [
        pytest.param(GATEWAY, True, id="a gateway's"),
        pytest.param(AWAY, False, id="Adobe's"),
        pytest.param(REFUSED, False, id="a refusal"),
        pytest.param([OK], False, id="an acceptance"),
        pytest.param(Retryable(ErrorCode.TOKEN_REFUSED, ""), False, id="of the token endpoint"),
    ],
)
async def test_an_unclear_answer_leaves_a_mark(answer: Any, is_marked: bool) -> None:
    bench = Bench(answer)
    one = bench.event("lena", 5)
    mark = (await bench.deliver([one]))["lena"]
    assert (mark is not None) is is_marked
    if mark is not None:
        assert mark.time_ms == UNCLEAR_SECONDS * 1000
        assert mark.updated_ms == one.choice.event_time_ms


@in_virtual_time
async def test_each_message_of_a_batch_has_an_answer_of_its_own() -> None:
    bench = Bench([OK, GATEWAY, AWAY])
    users = ("lena", "ole", "ida")
    marks = await bench.deliver(*([bench.event(user, 5)] for user in users))
    assert [user for user in users if marks[user]] == ["ole"]


@in_virtual_time
async def test_the_halves_of_a_batch_have_answers_of_their_own() -> None:
    bench = Bench(REFUSED, GATEWAY, [OK])
    marks = await bench.deliver([bench.event("lena", 5)], [bench.event("ole", 5)])
    assert [user for user, mark in marks.items() if mark] == ["lena"]


@in_virtual_time
async def test_what_is_not_in_the_message_is_not_unclear() -> None:
    bench = Bench(GATEWAY)
    older, newer = bench.event("lena", 5, news=True), bench.event("lena", 9, news=False)
    marks = await bench.deliver([older, newer])
    assert _time(marks["lena"]) == newer.choice.event_time_ms


@in_virtual_time
async def test_of_several_events_in_a_message_the_mark_speaks_of_the_oldest() -> None:
    bench = Bench(GATEWAY)
    older, newer = bench.event("lena", 5, news=True), bench.event("lena", 9, offers=False)
    marks = await bench.deliver([newer, older])
    assert _time(marks["lena"]) == older.choice.event_time_ms


@in_virtual_time
async def test_a_message_that_is_taken_apart_is_unclear_in_its_parts() -> None:
    bench = Bench(REFUSED, [OK], GATEWAY)
    older, newer = bench.event("lena", 5, news=True), bench.event("lena", 9, offers=False)
    marks = await bench.deliver([older, newer])
    assert _time(marks["lena"]) == older.choice.event_time_ms, "the newer one went first"
    [settlement] = bench.store.settlements
    assert set(settlement.written) == {"_acme.offers", UNCLEAR}


@in_virtual_time
async def test_what_was_written_twice_is_unclear_though_it_was_accepted() -> None:
    def accept() -> list[Accepted]:
        being_watched().was_repeated = True
        return [OK]

    bench = Bench(accept)
    one = bench.event("lena", 5)
    assert _time((await bench.deliver([one]))["lena"]) == one.choice.event_time_ms
    [settlement] = bench.store.settlements
    assert set(settlement.written) == {"_acme.news", UNCLEAR}


def _written_twice(reply: Any) -> Any:
    def answer() -> Any:
        being_watched().was_repeated = True
        return reply

    return answer


@in_virtual_time
async def test_what_was_written_twice_is_unclear_though_it_was_refused_and_taken_apart() -> None:
    bench = Bench(_written_twice(REFUSED), REFUSED, REFUSED)
    older, newer = bench.event("lena", 5, news=True), bench.event("lena", 9, offers=False)
    marks = await bench.deliver([older, newer])
    assert _time(marks["lena"]) == older.choice.event_time_ms


@in_virtual_time
async def test_what_was_written_twice_is_unclear_though_time_ends_in_a_wait_for_a_token() -> None:
    """Its first line ended, and on the new one the token was refused: nothing awaits an answer."""

    async def wait() -> None:
        being_watched().was_repeated = True
        await asyncio.Event().wait()

    bench = Bench(wait)
    one = bench.event("lena", 5)
    assert _time((await bench.deliver([one]))["lena"]) == one.choice.event_time_ms


@in_virtual_time
async def test_a_batch_that_was_written_twice_is_unclear_though_it_was_halved() -> None:
    bench = Bench(_written_twice(REFUSED), REFUSED, [OK])
    one, other = bench.event("lena", 5), bench.event("ole", 6)
    marks = await bench.deliver([one], [other])
    assert _time(marks["lena"]) == one.choice.event_time_ms
    assert _time(marks["ole"]) == other.choice.event_time_ms


@in_virtual_time
async def test_a_newer_mark_keeps_what_an_older_one_speaks_of() -> None:
    bench = Bench(GATEWAY, GATEWAY)
    older, newer = bench.event("lena", 5), bench.event("lena", 9, offers=False)
    await bench.deliver([older])
    await after(2)  # the gap
    bench.store.settlements.clear()
    marks = await bench.deliver([newer])
    assert _time(marks["lena"]) == older.choice.event_time_ms


@in_virtual_time
async def test_nothing_more_is_asked_of_the_store_than_one_field(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench([OK])
    asked: list[set[str]] = []
    begin = bench.store.begin

    async def begin_and_note(integration_id: str, claims: Any) -> Any:
        asked.extend(set(one.attributes) for one in claims)
        return await begin(integration_id, claims)

    monkeypatch.setattr(bench.store, "begin", begin_and_note)
    await bench.deliver([bench.event("lena", 5)])
    assert asked == [{"_acme.news", "!", "?"}]
    [settlement] = bench.store.settlements
    assert set(settlement.written) == {"_acme.news"}


@in_virtual_time
@pytest.mark.parametrize("minute", [10, 30, 50])
async def test_what_an_unclear_snapshot_takes_back_is_as_old_as_when_it_was_chosen(
    minute: int,
) -> None:
    """What another device has chosen since then goes again, though it is older than the snapshot:
    Adobe may take it back later.
    """
    adobe = Adobe()
    absent = {"id": "_acme.news", "value": "consents_purposes_news_enabled", "absent": False}
    shop = integration(
        events="user", payload_mode="upsert", mappings=[absent], limits={"profile_gap_seconds": 0}
    )
    worker = Worker(adobe, Store(), shop=shop)
    await worker.take(snapshot(10, news=True))
    adobe.reply = GATEWAY
    await worker.take(snapshot(40))
    adobe.reply = OK
    await worker.take(snapshot(minute, "tablet", news=True))
    repeat = worker.latest
    assert repeat.headers[REPEAT] == 1
    await after(UNCLEAR_SECONDS)
    await worker.take(repeat.body, repeat.headers)
    assert adobe.records[-2:] == [{"news": True}] * 2

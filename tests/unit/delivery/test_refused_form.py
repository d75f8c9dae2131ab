"""An event that is tried in the other form, since Adobe took neither its form nor tells the right
one, is an event as any other: by its id, its person, its receipt, and its end.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.unit.delivery.keeper import Keeper
from tests.unit.delivery.parts import GATHERED_SECONDS, Store
from tests.unit.delivery.pipeline_parts import NOON, Adobe, Worker
from tests.unit.delivery.pipeline_parts import body as choice
from tests.unit.delivery.test_inlets import COMPLETED, UNKNOWN_FORMAT, Flow, Inlet
from tests.unit.delivery.test_receipting import Book
from tests.unit.delivery.test_told_ids import ADVERTISING_ID, DIGEST, body
from tests.unit.delivery.virtual_time import after, in_virtual_time, now
from tests.unit.examples import integration
from worker.adobe.check.inlet_kind import Untold
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.delivery.inlets.inlet_questions import InletQuestions
from worker.delivery.outcome import Failure, Outcome
from worker.integrations.model import Integration
from worker.ordering.inlet_notes import MemoryInlets
from worker.reasons import ErrorCode
from worker.transform.decide import decide
from worker.transform.decision_types import Decision

AUTO = integration(
    payload_mode="auto",
    events="user",
    limits={"profile_gap_seconds": 0},
    mappings=[{"id": "_acme.news", "value": "consents_purposes_news_enabled", "absent": False}],
)
FIRST = body(organization_user_id="first@northwind.example")
REFUSED = Permanent(ErrorCode.ADOBE_REJECTED, "HTTP 400", 400, fault="message")
AWAY = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "HTTP 503", 503)
SECRET = b"a secret"


class Told(Worker):
    """Knows by which ids it told; Adobe tells it of no inlet, whose first event has been parked."""

    def __init__(
        self, adobe: Adobe, store: Store, book: Book | None = None, shop: Integration = AUTO
    ) -> None:
        began = now()
        flow = Flow(Untold("403"))
        self.questions = InletQuestions(flow.ask, MemoryInlets(), lambda: NOON + now() - began)
        super().__init__(
            adobe, store, shop=shop, inlets=self.questions.known, receipts=book, secret=SECRET
        )
        self.ids: list[str] = []

    async def begin(self, first: bytes = FIRST) -> None:
        await self.take(first)
        await after(GATHERED_SECONDS)
        assert self.told == ["parked"]
        self.told.clear()
        self.ids.clear()

    def outcome(self, integration_id: str, outcome: Outcome, seconds: float, event_id: str) -> None:
        super().outcome(integration_id, outcome, seconds, event_id)
        self.ids.append(event_id)

    def delivered(self, integration_id: str, accepted: Any) -> None:
        super().delivered(integration_id, accepted)
        self.ids += [delivery.choice.event_id for delivery, _ in accepted]

    def repeat_planned(self, integration_id: str, event_id: str, delay_seconds: float) -> None:
        super().repeat_planned(integration_id, event_id, delay_seconds)
        self.ids.append(event_id)


@pytest.mark.parametrize(
    ("reply", "told"), [(Accepted("x"), "delivered"), (AWAY, "retried"), (REFUSED, "dead")]
)
@in_virtual_time
async def test_it_is_told_and_kept_by_a_digest(reply: Any, told: str) -> None:
    inlet, store = Inlet("xdm"), Store()
    worker = Told(inlet, store)
    await worker.begin()
    inlet.reply = reply
    await worker.take(body())
    await after(1)
    assert inlet.forms == ["upsert", "xdm"]
    assert worker.told == [told]
    assert all(DIGEST.fullmatch(one) for one in worker.ids)
    assert len(worker.ids) == 1
    headers = [one.headers for one in worker.hand.host.published]
    assert ADVERTISING_ID not in repr((headers, store.settlements, worker.ids))


@in_virtual_time
async def test_it_is_known_as_its_own_duplicate_afterwards() -> None:
    worker = Told(Inlet("xdm"), Store())
    await worker.begin()
    await worker.take(body())
    await worker.take(body())
    assert worker.told == ["delivered", "duplicate"]


@pytest.mark.parametrize(
    ("reply", "receipt"),
    [
        (Accepted("x"), ("delivered", "", 1)),
        (AWAY, ("retried", "adobe-unavailable", 1)),
        (REFUSED, ("dead", "adobe-rejected", 1)),
    ],
)
@in_virtual_time
async def test_it_has_its_receipt_and_is_on_record(
    reply: Any, receipt: tuple[str, str, int]
) -> None:
    inlet, book = Inlet("xdm"), Book()
    worker = Told(inlet, Store(), book)
    await worker.begin()
    inlet.reply = reply
    await worker.take(body())
    assert book.told[1:] == [receipt]
    assert worker.hand.in_hand == 0
    assert worker.hand.receipted == len(worker.hand.acknowledged) == 2
    first, second = book.written
    assert (second["user"], second["choice"]) == ("hash of lena@northwind.example", "given")
    assert second["event"] == first["event"], "of the same user, regulation and version"


@in_virtual_time
async def test_what_can_not_be_sent_now_waits_and_is_tried_again() -> None:
    """While nobody can tell whether the state was lost, no whole record is sent."""
    inlet, store, book = Inlet("xdm"), Store(), Book()
    store.epochs = keeper = Keeper()
    worker = Told(inlet, store, book, shop=COMPLETED)
    await worker.begin(choice("e0", user="first"))
    keeper.away = True
    await worker.take(choice("e1"))
    await after(GATHERED_SECONDS)
    assert (inlet.forms, worker.told) == (["upsert"], ["parked"])
    assert worker.hand.in_hand == 0, "nothing stays in hand without an outcome"
    assert worker.hand.receipted == len(worker.hand.acknowledged)
    keeper.away = False
    await worker.take(worker.latest.body, worker.latest.headers)
    assert (inlet.forms, worker.told) == (["upsert", "upsert", "xdm"], ["parked", "delivered"])


@in_virtual_time
async def test_a_fault_in_deciding_it_is_one_dead_letter_and_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def faulty(target: Integration, *more: Any) -> Decision:
        if target.payload_mode == "xdm" and is_faulty:
            raise KeyError("private")
        return decide(target, *more)

    is_faulty = True
    monkeypatch.setattr("worker.delivery.event_decisions.decide", faulty)
    book = Book()
    worker = Told(Inlet("xdm"), Store(), book)
    await worker.begin()
    await worker.take(body())
    assert worker.told == ["dead"]
    assert book.told[1:] == [("dead", "unexpected-error", 1)]
    assert worker.hand.receipted == len(worker.hand.acknowledged) == 2
    is_faulty = False
    await worker.take(body(version=5))
    assert worker.told == ["dead", "delivered"]


@in_virtual_time
async def test_a_fault_in_ending_it_is_a_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(_: str, failure: Failure) -> None:
        raise KeyError(failure.error)

    class Neither(Inlet):
        async def send(self, integration: Integration, messages: Any) -> Any:
            self.forms += [integration.payload_mode] * len(messages)
            return UNKNOWN_FORMAT

    inlet, book = Neither("xdm"), Book()
    worker = Told(inlet, Store(), book)
    await worker.begin()
    monkeypatch.setattr(worker, "blocked", faulty)
    await worker.take(body())
    assert inlet.forms == ["upsert", "xdm"]
    assert worker.told == ["dead"]
    assert book.told[1:] == [("dead", "unexpected-error", 1)]
    assert worker.hand.receipted == len(worker.hand.acknowledged) == 2


@in_virtual_time
async def test_it_has_one_end_where_that_can_not_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other integration of its organization has its delivery of it under way meanwhile."""

    class Slow(Inlet):
        async def send(self, integration: Integration, messages: Any) -> Any:
            if integration.id == press.id:
                await press_answers.wait()
            return await super().send(integration, messages)

    press_answers = asyncio.Event()
    press = AUTO.model_copy(update={"id": "press", "payload_mode": "xdm"}).with_state_id("press")
    inlet, book = Slow("xdm"), Book()
    worker = Told(inlet, Store(), book)
    await worker.begin()
    monkeypatch.setattr(worker, "undoubted_for", lambda _: [AUTO, press])
    tell = worker.delivered

    def faulty(integration_id: str, accepted: Any) -> None:
        if integration_id == AUTO.id:
            raise KeyError("private")
        tell(integration_id, accepted)

    monkeypatch.setattr(worker, "delivered", faulty)
    before = len(worker.hand.acknowledged)
    await worker.take(body())
    await after(1)
    assert book.told[1:] == [("delivered", "", 1)]
    assert len(worker.hand.acknowledged) == before, "the other one is not done"
    press_answers.set()
    await after(1)
    assert (book.told[1:], worker.told) == ([("delivered", "", 1)] * 2, ["delivered"])
    assert len(worker.hand.acknowledged) == before + 1


@in_virtual_time
async def test_it_meets_what_was_sent_under_the_state_id_in_force() -> None:
    """The state id may have changed while its first form was under way."""
    inlet, store = Inlet("xdm"), Store()
    moved = AUTO.with_state_id("shop~2")
    whole = integration(
        **{name: getattr(AUTO, name) for name in ("events", "limits", "mappings")},
        payload_mode="xdm",
    ).with_state_id("shop~2")
    former = Worker(inlet, store, shop=whole, secret=SECRET)
    await former.take(body(updated_at="2026-03-02T09:00:00Z", version=5))
    assert former.told == ["delivered"]

    class Hangs(Inlet):
        async def send(self, integration: Integration, messages: Any) -> Any:
            if integration.payload_mode == "upsert":
                await self.answers.wait()
            return await super().send(integration, messages)

    hangs = Hangs("xdm")
    hangs.answers.clear()
    worker = Told(hangs, store)
    await worker.begin()
    await worker.take(body())
    worker.shop = moved
    await worker.take(body(organization_user_id="omar@northwind.example"))
    hangs.answers.set()
    await after(1)
    assert sorted(worker.told) == ["parked", "superseded"], (
        "omar's waits for what becomes of lena's"
    )

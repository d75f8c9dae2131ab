"""Each outcome has one receipt, after its successor is there and before it is acknowledged."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from tests.unit.delivery.parts import GATHERED_SECONDS, Store
from tests.unit.delivery.pipeline_parts import NOON, Adobe, Worker, body
from tests.unit.delivery.virtual_time import after, in_virtual_time
from tests.unit.examples import event_document, integration
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.broker.dead_letter import describe, fingerprint_of
from worker.events import open_envelope
from worker.evidence.letter_cause import Fingerprint, fingerprint_of_receipt
from worker.evidence.receipt import (
    Receipt,
    ReceiptFields,
    body_id,
    encode_fields,
    read_receipt,
)
from worker.ordering.user_digests import UserKeys
from worker.reasons import ErrorCode

AWAY = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "HTTP 503", 503)
REFUSED = Permanent(ErrorCode.ADOBE_REJECTED, "HTTP 400", 400)

WAYS: list[dict[str, Any]] = [{}, {"paused": True}]
"""An event is decided, or not."""


class Book:
    """Keeps receipts, and confirms them only when it is told to."""

    def __init__(self, *, confirms: bool = True) -> None:
        self.confirms = confirms
        self.written: list[ReceiptFields] = []
        self.thens: list[Callable[[], None]] = []

    def user_hash(self, organization_user_id: str, at_ms: int) -> str | None:
        return f"hash of {organization_user_id}" if organization_user_id else None

    def write(self, receipt: ReceiptFields, then: Callable[[], None]) -> None:
        read_receipt(encode_fields(receipt))
        self.written.append(receipt)
        if self.confirms:
            then()
        else:
            self.thens.append(then)

    @property
    def told(self) -> list[tuple[str, str, int]]:
        return [(one["outcome"], one["reason"], one["attempt"]) for one in self.written]


def a_worker(book: Book | None = None, **shop: Any) -> tuple[Worker, Book]:
    book = book or Book()
    shop = {"limits": {"profile_gap_seconds": 0}} | shop
    return Worker(Adobe(), Store(), shop=integration(**shop), receipts=book), book


@in_virtual_time
async def test_what_is_delivered_is_acknowledged_after_its_receipt() -> None:
    worker, book = a_worker(Book(confirms=False))
    await worker.take(body("ev-1"))
    assert book.told == [("delivered", "", 1)]
    assert worker.hand.in_hand == 1
    book.thens[0]()
    assert worker.hand.acknowledged == [1]


@in_virtual_time
async def test_a_receipt_says_what_became_of_whom_and_when() -> None:
    worker, book = a_worker()
    await worker.take(body("ev-1", ago=60, enabled=False, user=" lena"))
    (receipt,) = book.written
    at = receipt["at"]
    assert 0 <= at - NOON * 1000 < 1000
    assert receipt == {
        "event": "ev-1",
        "updated_at": None,
        "integration": "shop",
        "organization": "northwind",
        "delivery": 0,
        "outcome": "delivered",
        "reason": "",
        "attempt": 1,
        "user": "hash of lena@northwind.example",
        "choice": "withdrawn",
        "attributes": {"_acme.news": False},
        "event_at": round((NOON - 60) * 1000),
        "due_at": None,
        "status": 200,
        "xaction": "x",
        "config": worker.shop.version,
        "at": at,
    }


@in_virtual_time
async def test_what_is_retried_has_its_receipt_after_its_successor_and_is_due_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker, book = a_worker(Book(confirms=False))
    adobe = Adobe()
    adobe.reply = AWAY
    worker = Worker(adobe, Store(), shop=worker.shop, receipts=book)
    seen: list[int] = []
    publish = worker.hand.host.publish

    def watched(*arguments: Any, **named: Any) -> None:
        seen.append(len(book.written))
        publish(*arguments, **named)

    monkeypatch.setattr(worker.hand.host, "publish", watched)
    await worker.take(body("ev-1"))
    assert seen == [0], "nothing is on record before the retry is published"
    (receipt,) = book.written
    assert (receipt["outcome"], receipt["reason"]) == ("retried", "adobe-unavailable")
    assert (receipt["status"], receipt["attempt"]) == (503, 1)
    due_at = receipt["due_at"]
    assert due_at is not None
    assert abs(due_at - worker.latest.headers["consent-due-at"]) < 100
    assert worker.hand.in_hand == 1
    book.thens[0]()
    assert worker.hand.in_hand == 0
    adobe.reply = Accepted("y")
    await worker.take(worker.latest.body, worker.latest.headers)
    second = book.written[1]
    assert (second["outcome"], second["attempt"], second["xaction"]) == ("delivered", 2, "y")
    key = itemgetter("event", "updated_at", "integration", "delivery", "user", "event_at")
    assert key(second) == key(receipt)


@in_virtual_time
async def test_what_is_parked_skipped_and_dead() -> None:
    worker, book = a_worker(paused=True)
    await worker.take(body("ev-1"))
    assert book.written == [], "its bundle is not published yet"
    await after(GATHERED_SECONDS)
    assert book.told == [("parked", "paused", 0)]
    assert book.written[0]["due_at"] is not None
    assert book.written[0]["choice"] is None
    worker, book = a_worker()
    await worker.take(b"no json")
    await worker.take(body("ev-2"))
    await worker.take(body("ev-2"))
    assert book.told == [
        ("dead", "invalid-json", 0),
        ("delivered", "", 1),
        ("skipped", "duplicate", 0),
    ]
    assert book.written[0]["event"] == body_id(b"no json")
    assert book.written[0]["organization"] == ""


@in_virtual_time
async def test_what_adobe_rejects_is_dead_after_its_attempt_and_a_replay_is_another_life() -> None:
    worker, book = a_worker()
    adobe = Adobe()
    adobe.reply = REFUSED
    worker = Worker(adobe, Store(), shop=worker.shop, receipts=book)
    await worker.take(body("ev-1"))
    assert book.told == [("dead", "adobe-rejected", 1)]
    assert book.written[0]["status"] == 400
    adobe.reply = Accepted("y")
    await worker.take(body("ev-1"), {"consent-integration": "shop", "consent-replays": 1})
    assert [one["delivery"] for one in book.written] == [0, 1]


TOO_LATE: dict[str, Any] = {
    "consent-integration": "shop",
    "consent-attempts": 6,
    "consent-first-attempt-at": round(NOON * 1000) - 400_000,
    "consent-elapsed": 400_000,
    "consent-error": "adobe-refused",
    "consent-error-detail": "HTTP 403: 403025: Forbidden",
    "consent-http-status": 403,
}


def _refused(status: int, detail: str) -> Permanent:
    return Permanent(ErrorCode.ADOBE_REJECTED, detail, status)


@pytest.mark.parametrize(
    ("reply", "changes", "headers", "told"),
    [
        (
            _refused(400, "HTTP 400: DCVS-1106-400: required key (text 3f9a01c2de)"),
            {},
            {},
            ("adobe-rejected", "adobe-rejected", "DCVS-1106-400", None, 400),
        ),
        (_refused(422, "HTTP 422"), {}, {}, ("adobe-rejected", "adobe-rejected", None, None, 422)),
        (
            Accepted("x"),
            {"created_at": "no time"},
            {},
            ("invalid-event", "invalid-event", None, "created_at", None),
        ),
        (
            Accepted("x"),
            {"consents": {"purposes": [{"id": "a"}, {"id": "news", "enabled": "yes"}]}},
            {},
            ("invalid-event", "invalid-event", None, "consents.purposes[].enabled", None),
        ),
        (Accepted("x"), {"type": "of tomorrow"}, {}, None),
        (AWAY, {}, TOO_LATE, ("retries-exhausted", "adobe-refused", "403025", None, 403)),
    ],
)
@in_virtual_time
async def test_a_receipt_and_its_dead_letter_have_one_fingerprint(
    reply: Any,
    changes: dict[str, Any],
    headers: dict[str, Any],
    told: tuple[str, str, str | None, str | None, int | None] | None,
) -> None:
    book, adobe = Book(), Adobe()
    adobe.reply = reply
    worker = Worker(adobe, Store(), shop=integration(), receipts=book)
    await worker.take(orjson.dumps(orjson.loads(body("ev-1")) | changes), headers)
    receipt = read_receipt(encode_fields(book.written[-1]))
    assert receipt.outcome == "dead"
    letter = SimpleNamespace(
        headers=worker.latest.headers,
        message_id=worker.latest.properties.message_id,
        body=worker.latest.body,
    )
    mark = fingerprint_of(describe(letter))
    assert fingerprint_of_receipt(receipt) == mark
    if told is not None:
        assert mark == Fingerprint(*told, "shop", worker.shop.version)


@in_virtual_time
async def test_what_is_retried_or_held_says_what_went_wrong_in_codes() -> None:
    book, adobe = Book(), Adobe()
    worker = Worker(adobe, Store(), shop=integration(), receipts=book)
    adobe.reply = Retryable(ErrorCode.ADOBE_THROTTLED, "HTTP 429: 429050: Too Many Requests", 429)
    await worker.take(body("ev-1"))
    adobe.reply = Retryable(ErrorCode.ADOBE_REFUSED, "HTTP 403: 403025: Forbidden", 403)
    await worker.take(body("ev-2", user="other"))
    await after(GATHERED_SECONDS)
    told = [(one.outcome, one.reason, one.error, one.code) for one in _read(book)]
    assert told == [
        ("retried", "adobe-throttled", None, "429050"),
        ("parked", "blocked", "adobe-refused", "403025"),
    ]


def _read(book: Book) -> list[Receipt]:
    return [read_receipt(encode_fields(one)) for one in book.written]


@in_virtual_time
async def test_a_repeat_is_no_second_outcome_whatever_becomes_of_it() -> None:
    repeat = {"consent-integration": "shop", "consent-repeat": 1}
    for reply in (Accepted("x"), AWAY, REFUSED):
        worker, book = a_worker()
        adobe = Adobe()
        worker = Worker(adobe, Store(), shop=worker.shop, receipts=book)
        await worker.take(body("ev-1"))
        adobe.reply = reply
        await worker.take(body("ev-1"), repeat)
        assert book.told == [("delivered", "", 1)]
        assert worker.hand.in_hand == 0
    worker, book = a_worker(enabled=False)
    await worker.take(body("ev-1"), repeat)
    assert (book.written, worker.hand.in_hand) == ([], 0)


@in_virtual_time
async def test_what_is_handed_over_is_retried_and_delivered_when_its_copy_comes_back() -> None:
    worker, book = a_worker()
    adobe = Adobe()
    worker = Worker(adobe, Store(), shop=worker.shop, receipts=book)
    adobe.answers.clear()
    await worker.take(body("ev-1"))
    await after(4)
    assert book.told == [("retried", "timeout", 1)]
    adobe.answers.set()
    await after(1)
    assert len(book.written) == 1
    await worker.take(worker.latest.body, worker.latest.headers)
    assert book.told[1:] == [("delivered", "", 1)]
    assert book.written[1]["xaction"] is None


@in_virtual_time
async def test_nobody_is_named_by_what_a_producer_may_have_written() -> None:
    worker, book = a_worker()
    planted = "lena.smith@northwind.example"
    document = orjson.loads(body("ev-1")) | {"id": planted}
    await worker.take(orjson.dumps(document))
    assert book.written[0]["event"] == body_id(orjson.dumps(document))
    await worker.take(b"{}", {"consent-integration": "lena.smith"})
    assert planted.encode() not in orjson.dumps(
        [one | {"user": None} for one in book.written]  # the fake's hash is none
    )


@pytest.mark.parametrize(
    ("changes", "updated_at"),
    [
        ({}, None),
        ({"updated_at": "2026-03-02T11:59:00Z"}, 1_772_452_740_000),
        ({"updated_at": "2026-03-02T11:59:00Z", "status": "pending_approval"}, 1_772_452_740_000),
        ({"updated_at": "no time"}, None),
    ],
)
@pytest.mark.parametrize("kind", ["event.created", "event.updated"])
def test_an_event_is_called_the_same_whatever_becomes_of_it(
    changes: dict[str, Any], updated_at: int | None, kind: str
) -> None:
    """Decided or not: or what waited would never end."""

    @in_virtual_time
    async def test() -> None:
        entity = orjson.loads(body("ev-1")) | changes
        name = "new_entity" if kind == "event.updated" else "entity"
        said = orjson.dumps({"type": kind, "parameters": {name: entity}})
        found = []
        for shop in WAYS:
            worker, book = a_worker(**shop)
            await worker.take(said)
            await after(GATHERED_SECONDS)
            found += [(one["event"], one["updated_at"], one["event_at"]) for one in book.written]
        assert found == [("ev-1", updated_at, round((NOON - 60) * 1000))] * 2

    test()


@pytest.mark.parametrize("secret", [b"", b"a secret"])
@in_virtual_time
async def test_a_snapshot_is_called_by_the_digest_that_logs_use(secret: bytes) -> None:
    """And by its body where a digest could be guessed."""
    entity = {
        "id": "6D92078A-8246-4BA4-AE5B-76104861E7DC",
        "organization_id": "northwind",
        "organization_user_id": "lena@northwind.example",
        "version": 4,
        "updated_at": "2026-03-02T08:15:30.120Z",
        "consents": {"purposes": [{"id": "news", "enabled": True}]},
    }
    said = orjson.dumps({"type": "user.updated", "parameters": {"new_entity": entity}})
    mappings = [{"id": "_acme.news", "value": "consents_purposes_news_enabled", "absent": False}]
    found = []
    for changes in WAYS:
        _, book = a_worker()
        shop = integration(events="user", mappings=mappings, **changes)
        worker = Worker(Adobe(), Store(), shop=shop, receipts=book, secret=secret)
        await worker.take(said)
        await after(GATHERED_SECONDS)
        (one,) = book.written
        found.append((one["event"], one["updated_at"], one["event_at"], one["user"]))
    assert found[0] == found[1]
    event, updated_at, event_at, user = found[0]
    expected = UserKeys(secret).without_person(open_envelope(said)).event_id
    assert event == (expected if secret else body_id(said))
    assert updated_at == event_at
    assert user == "hash of lena@northwind.example"


@in_virtual_time
async def test_with_a_bug_in_it_a_message_still_has_one_receipt_of_its_dead_letter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker, book = a_worker()
    monkeypatch.setattr(worker, "undoubted_for", lambda _: 1 / 0)
    await worker.take(orjson.dumps(event_document()))
    assert book.told == [("dead", "unexpected-error", 0)]
    assert worker.hand.in_hand == 0


@in_virtual_time
async def test_without_a_book_nothing_is_made() -> None:
    worker = Worker(Adobe(), Store())
    await worker.take(body("ev-1"))
    assert worker.told == ["delivered"]
    assert worker.hand.in_hand == 0

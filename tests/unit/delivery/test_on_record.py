"""A message counts as on record where its outcome is, or where it is known to have none; and not
because it was acknowledged.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.unit.delivery.parts import GATHERED_SECONDS, Store
from tests.unit.delivery.pipeline_parts import Adobe, Worker, body
from tests.unit.delivery.test_receipting import AWAY, REFUSED, Book
from tests.unit.delivery.virtual_time import after, in_virtual_time
from tests.unit.examples import integration
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.broker.headers import BUNDLE
from worker.broker.message import Incoming
from worker.delivery.bundles.opening import events_of

REPEAT = {"consent-integration": "shop", "consent-repeat": 1}


def a_worker(*, confirms: bool = True, **shop: Any) -> tuple[Worker, Book, Adobe]:
    book, adobe = Book(confirms=confirms), Adobe()
    shop = {"limits": {"profile_gap_seconds": 0}} | shop
    return Worker(adobe, Store(), shop=integration(**shop), receipts=book), book, adobe


@pytest.mark.parametrize("headers", [None, REPEAT])
@pytest.mark.parametrize("reply", [Accepted("x"), AWAY, REFUSED], ids=type)
def test_each_end_of_a_request(
    reply: Accepted | Retryable | Permanent, headers: dict[str, Any] | None
) -> None:
    @in_virtual_time
    async def test() -> None:
        worker, _, adobe = a_worker()
        adobe.reply = reply
        await worker.take(body("ev-1"), headers)
        assert (worker.hand.in_hand, worker.hand.receipted) == (0, 1)

    test()


@in_virtual_time
async def test_not_before_its_receipt() -> None:
    worker, book, _ = a_worker(confirms=False)
    await worker.take(body("ev-1"))
    assert (worker.hand.in_hand, worker.hand.receipted) == (1, 0)
    book.thens[0]()
    assert (worker.hand.in_hand, worker.hand.receipted) == (0, 1)


@in_virtual_time
async def test_what_is_skipped_unusable_or_suspect() -> None:
    worker, _, _ = a_worker()
    for said in (body("ev-1"), body("ev-1"), b"no json", b"{}"):
        await worker.take(said)
    await worker.take(body("ev-2"), {"x-delivery-count": 2})
    assert worker.latest.routing_key == "consent.suspects"
    assert (worker.hand.in_hand, worker.hand.receipted) == (0, 5)


@in_virtual_time
async def test_a_bundle_unopened_or_opened() -> None:
    worker, _, _ = a_worker(paused=True)
    for number in range(3):
        await worker.take(body(f"ev-{number}", user=f"u{number}"))
    await after(GATHERED_SECONDS)
    bundle = worker.latest
    assert bundle.headers[BUNDLE] == 3
    assert worker.hand.receipted == 3
    await worker.take(bundle.body, bundle.headers)
    assert worker.told[-3:] == ["parked again"] * 3
    assert (worker.hand.in_hand, worker.hand.receipted) == (0, 4)
    worker.shop = integration(limits={"profile_gap_seconds": 0})
    await worker.take(bundle.body, bundle.headers)
    await after(GATHERED_SECONDS)
    assert worker.told[-3:] == ["delivered"] * 3
    assert (worker.hand.in_hand, worker.hand.receipted) == (0, 5), "one message"


@in_virtual_time
async def test_a_bug_makes_one_dead_letter_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, book, _ = a_worker()
    monkeypatch.setattr(worker, "undoubted_for", lambda _: 1 / 0)
    await worker.take(body("ev-1"))
    assert book.told == [("dead", "unexpected-error", 0)]
    assert (worker.hand.in_hand, worker.hand.receipted) == (0, 1)


def _message(worker: Worker, deliveries: int) -> Incoming:
    message = worker.hand.message(orjson.dumps({}))
    message.divide(deliveries)
    return message


@in_virtual_time
async def test_one_delivery_of_many_that_is_acknowledged_without_a_word() -> None:
    worker, _, _ = a_worker()
    message = _message(worker, 3)
    message.done_on_record()
    message.done()
    message.done_on_record()
    assert (worker.hand.in_hand, worker.hand.receipted) == (0, 0)


@in_virtual_time
async def test_one_event_of_a_bundle_that_is_acknowledged_without_a_word() -> None:
    worker, _, _ = a_worker(paused=True)
    for number in range(2):
        await worker.take(body(f"ev-{number}", user=f"u{number}"))
    await after(GATHERED_SECONDS)
    bundle = worker.hand.message(worker.latest.body, worker.latest.headers)
    first, second = events_of(bundle, 0)
    first.done()
    second.done_on_record()
    assert (worker.hand.in_hand, worker.hand.receipted) == (0, 2), "those that were parked"


@in_virtual_time
async def test_what_a_message_of_before_still_does_counts_for_nothing() -> None:
    worker, _, _ = a_worker()
    message = _message(worker, 2)
    message.done_on_record()
    renewed = message.renewed()
    message.done_on_record()
    assert (worker.hand.in_hand, worker.hand.receipted) == (1, 0)
    renewed.done_on_record()
    assert (worker.hand.in_hand, worker.hand.receipted) == (0, 1)

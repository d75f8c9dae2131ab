"""What is moved unread, or comes back as a whole, tells that a worker may have sent it: in another
queue the broker counts its returns anew.
"""

from __future__ import annotations

from typing import Any

import pytest
from pamqp.commands import Basic

from tests.unit.delivery.parts import GATHERED_SECONDS, Hand, Store
from tests.unit.delivery.pipeline_parts import SHOP, Adobe, Worker, body
from tests.unit.delivery.test_receipting import Book
from tests.unit.delivery.test_returned_snapshots import NEWER, OLDER, a_worker
from tests.unit.delivery.virtual_time import after, in_virtual_time
from worker.broker.headers import (
    BUNDLE,
    CONTRACT,
    CONTRACT_VERSION,
    INTEGRATION,
    REPLAYS,
    RETURNED,
    RETURNS,
)
from worker.delivery.bundles.bundle_format import pack, unpack
from worker.delivery.screening import SUSPECT_AFTER
from worker.wire.frames import encode_content_header
from worker.wire.property_reader import read_properties

TAKEN_BACK = [{"news": False}]
"""What the older snapshot may have set at Adobe, though the newer one came first."""


async def after_the_newer_one() -> tuple[Worker, Adobe]:
    adobe = Adobe()
    worker = a_worker(adobe)
    await worker.take(NEWER)
    assert (worker.told, adobe.records) == (["emptied"], [])
    return worker, adobe


async def take_by(worker: Worker, queue: str, content: bytes, headers: dict[str, Any]) -> None:
    """A message that comes by that queue."""
    hand = Hand(queue)
    hand.host = worker.hand.host
    worker.pipeline.handle(hand.message(content, headers))
    await after(1)
    assert hand.in_hand == 0


def bundle_of(*events: bytes, **headers: Any) -> bytes:
    return pack(
        (encode_content_header(Basic.Properties(headers=headers), len(one)), one) for one in events
    )


BUNDLED = bundle_of(OLDER, body("of no snapshot"))


@in_virtual_time
async def test_a_suspect_whose_returns_are_counted_anew_was_returned_all_the_same() -> None:
    worker, adobe = await after_the_newer_one()
    await worker.take(OLDER, {RETURNS: SUSPECT_AFTER})
    moved = worker.latest
    assert (moved.routing_key, adobe.records) == ("consent.suspects", [])
    await take_by(worker, "consent.suspects", moved.body, moved.headers)
    assert adobe.records == TAKEN_BACK


@in_virtual_time
async def test_so_was_each_suspect_of_a_bundle() -> None:
    worker, adobe = await after_the_newer_one()
    await take_by(worker, "consent.parked", BUNDLED, {BUNDLE: 2, RETURNS: SUSPECT_AFTER})
    moved = worker.hand.host.published
    assert [one.headers[RETURNED] for one in moved] == [1, 1]
    for one in moved:
        await take_by(worker, "consent.suspects", one.body, one.headers)
    assert adobe.records == TAKEN_BACK


@pytest.mark.parametrize("more", [{}, {RETURNED: 0}], ids=["silent", "that says it was not"])
@pytest.mark.parametrize(
    ("content", "headers"),
    [
        pytest.param(OLDER, {}, id="an event"),
        pytest.param(BUNDLED, {BUNDLE: 2}, id="a bundle"),
    ],
)
@in_virtual_time
async def test_what_waits_for_a_newer_version_was_returned_when_that_takes_it(
    content: bytes, headers: dict[str, Any], more: dict[str, Any]
) -> None:
    worker, adobe = await after_the_newer_one()
    newer = headers | more | {CONTRACT: CONTRACT_VERSION + 1, RETURNS: 1}
    await take_by(worker, "consent.parked", content, newer)
    aside = worker.latest
    assert (aside.body, aside.headers[CONTRACT], adobe.records) == (
        content,
        CONTRACT_VERSION + 1,
        [],
    )
    # As the newer worker reads it.
    await take_by(worker, "consent.parked", content, aside.headers | {CONTRACT: CONTRACT_VERSION})
    assert adobe.records == TAKEN_BACK


@pytest.mark.parametrize("count", [None, 0, -1, True, "1"])
@in_virtual_time
async def test_what_was_with_nobody_is_not_said_to_be_returned(count: Any) -> None:
    worker, _ = await after_the_newer_one()
    headers = {CONTRACT: CONTRACT_VERSION + 1} | ({} if count is None else {RETURNS: count})
    await take_by(worker, "consent.parked", OLDER, headers)
    assert RETURNED not in worker.latest.headers


@in_virtual_time
async def test_a_bundle_that_is_replayed_is_a_replay_of_each_of_its_events() -> None:
    """It became a dead letter as a whole, and some worker may have had it before."""
    worker, adobe = await after_the_newer_one()
    await take_by(worker, "consent.events", BUNDLED, {BUNDLE: 2, REPLAYS: 1})
    assert adobe.records == TAKEN_BACK


class Pausing(Worker):
    """A worker whose integration is paused until it is not."""

    def __init__(self, book: Book) -> None:
        super().__init__(Adobe(), Store(), receipts=book)
        self.shop = SHOP.model_copy(update={"paused": True})

    async def park(self, name: str, **headers: int) -> None:
        """Two events with these headers, whose names have dashes."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        for number in (1, 2):
            content = body(f"{name}-{number}", user=f"{name}{number}")
            self.pipeline.handle(self.hand.message(content, {INTEGRATION: "shop"} | named))

    async def go_on(self) -> None:
        """All that is parked comes back, and is delivered."""
        parked, self.hand.host.published = self.hand.host.published, []
        self.shop = SHOP
        for one in parked:
            await take_by(self, "consent.parked", one.body, one.headers)


@in_virtual_time
async def test_events_that_are_parked_beside_a_replay_are_none() -> None:
    """Each life that the receipts tell of has its end: that of the first delivery, too."""
    book = Book()
    worker = Pausing(book)
    await worker.park("again", consent_replays=1)
    await worker.park("fresh")
    await after(GATHERED_SECONDS)
    parked = worker.hand.host.published
    told = [(one.headers[BUNDLE], one.headers.get(REPLAYS, 0)) for one in parked]
    assert told == [(2, 1), (2, 0)]
    await worker.go_on()
    lives = {(one["event"], one["delivery"], one["outcome"]) for one in book.written}
    assert lives == {
        (f"{name}-{number}", replays, outcome)
        for name, replays in (("again", 1), ("fresh", 0))
        for number in (1, 2)
        for outcome in ("parked", "delivered")
    }


@in_virtual_time
async def test_a_replay_in_a_bundle_of_the_version_before_makes_no_others_replays() -> None:
    """It gathered events of different numbers, and its bundle has that of the first."""
    book = Book()
    worker = Pausing(book)
    await worker.park("again", consent_replays=1)
    await worker.park("fresh")
    await after(GATHERED_SECONDS)
    again, fresh = worker.hand.host.published
    again.body = pack([*unpack(again.body), *unpack(fresh.body)])
    again.headers[BUNDLE] = 4
    worker.hand.host.published = [again]
    await worker.go_on()
    delivered = {(one["event"], one["delivery"]) for one in book.written if not one["reason"]}
    assert delivered == {("again-1", 1), ("again-2", 1), ("fresh-1", 0), ("fresh-2", 0)}


@in_virtual_time
async def test_events_that_are_parked_beside_a_returned_one_share_a_bundle_and_are_none() -> None:
    worker = Pausing(Book())
    await worker.park("returned", x_delivery_count=1)
    await worker.park("fresh")
    await after(GATHERED_SECONDS)
    [parked] = worker.hand.host.published
    assert parked.headers[BUNDLE] == 4
    assert RETURNED not in parked.headers
    said = [read_properties(header).headers or {} for header, _ in unpack(parked.body)]
    assert [RETURNED in one for one in said] == [True, True, False, False]

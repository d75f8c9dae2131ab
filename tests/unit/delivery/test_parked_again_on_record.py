"""Of bundles that are parked again unopened there is no receipt: by what a worker tells of them the
ledger knows that their events are not missing, and finds the ones that are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devtools.made_receipts import MadeWorker, state
from tests.unit.delivery.fleet import Delaying
from tests.unit.delivery.parts import GATHERED_SECONDS, Hand
from tests.unit.delivery.pipeline_parts import NOON, SHOP, body
from tests.unit.delivery.test_receipting import Book
from tests.unit.delivery.test_waiting_for_a_person import (
    PAUSED,
    REFUSED,
    Office,
)
from tests.unit.delivery.virtual_time import after, in_virtual_time, now
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file
from worker.adobe.replies import Accepted
from worker.broker.headers import BUNDLE
from worker.delivery.parked_again_bundles import MOST_BYTES, ParkedAgain
from worker.evidence.receipt import encode_fields
from worker.ledger.overview import overview


class Watched:
    """An office whose broker gives back what is parked, and a ledger that reads what it writes,
    with a state every five seconds.
    """

    def __init__(self, ledger: LedgerFile) -> None:
        self._began = now()
        self._ledger = ledger
        self._book = Book()
        self._chain = MadeWorker().chain
        self.office = Office(self._book)
        self.line = Delaying()
        self.line.take = self._take
        self.is_lost: Callable[[dict[str, Any]], bool] = lambda _: False

    @property
    def now_ms(self) -> int:
        return round((NOON + now() - self._began) * 1000)

    def _take(self, content: bytes, headers: dict[str, Any], queue: str) -> None:
        if not self.is_lost(headers):
            hand = Hand(queue)
            hand.host = self.line
            self.office.pipeline.handle(hand.message(content, headers))

    async def come(self, count: int, first: int = 1) -> None:
        """So many events of as many persons."""
        for number in range(first, first + count):
            hand = Hand()
            hand.host = self.line
            self.office.pipeline.handle(hand.message(body(f"e{number}", user=f"u{number}")))
        await after(GATHERED_SECONDS)

    async def go_on(self, minutes: int) -> list[tuple[str, int]]:
        """What the ledger says is missing after so many minutes."""
        for _ in range(minutes * 12):
            await after(5)
            self._write()
        with self._ledger.transaction() as connection:
            missing = overview(connection, self.now_ms).conservation.missing
        return [(one.where, one.events) for one in missing]

    def _write(self) -> None:
        rows = [encode_fields(one) for one in self._book.written]
        self._book.written.clear()
        told = self.office.pipeline.parked_again.told()
        bodies = [self._chain.message("receipts", rows, self.now_ms)] if rows else []
        row = state(parked_again=told)
        self._ledger.take(*bodies, self._chain.message("state", [row], self.now_ms))


def _pause(office: Office) -> None:
    office.in_force = [PAUSED]


def _block(office: Office) -> None:
    office.adobe.reply = REFUSED


def _doubt(office: Office) -> None:
    office.in_force, office.doubt = [], "no integration is valid"


def _break(office: Office) -> None:
    office.in_force, office.broken = [], ["shop"]


def _mend(office: Office) -> None:
    office.in_force, office.doubt, office.broken = [SHOP.model_copy()], None, []
    office.adobe.reply = Accepted("x")


@pytest.mark.parametrize("hold", [_pause, _block, _doubt, _break])
def test_what_is_parked_for_an_hour_is_not_missing(
    tmp_path: Path, hold: Callable[[Office], None]
) -> None:
    @in_virtual_time
    async def test() -> None:
        with ledger_file(tmp_path) as ledger:
            watched = Watched(ledger)
            hold(watched.office)
            await watched.come(40)
            for _ in range(6):
                assert await watched.go_on(10) == []
            _mend(watched.office)
            assert await watched.go_on(5) == []
            assert watched.office.told.count("delivered") == 40
            assert await watched.go_on(30) == []

    test()


def test_one_that_is_lost_meanwhile_is_named_soon_after(tmp_path: Path) -> None:
    @in_virtual_time
    async def test() -> None:
        with ledger_file(tmp_path) as ledger:
            watched = Watched(ledger)
            _pause(watched.office)
            await watched.come(30)
            await watched.come(3, first=31)
            assert await watched.go_on(20) == []
            watched.is_lost = lambda headers: headers[BUNDLE] == 3
            assert await watched.go_on(20) == []
            _mend(watched.office)
            assert await watched.go_on(15) == [("integration shop", 3)]
            assert watched.office.told.count("delivered") == 30

    test()


def test_where_all_are_lost_they_are_named_though_the_pause_lasts(tmp_path: Path) -> None:
    @in_virtual_time
    async def test() -> None:
        with ledger_file(tmp_path) as ledger:
            watched = Watched(ledger)
            _pause(watched.office)
            await watched.come(30)
            assert await watched.go_on(20) == []
            watched.is_lost = lambda _: True
            assert await watched.go_on(15) == [("integration shop", 30)]

    test()


@in_virtual_time
async def test_a_bundle_is_told_once_when_the_broker_has_it() -> None:
    office = Office()
    office.in_force = [PAUSED]
    bundle = await office.come(2)
    parked_again = office.pipeline.parked_again
    assert parked_again.told() == {}, "each of its events has a receipt"
    began = now()
    office.pipeline.handle(office.hand.message(bundle.body, bundle.headers))
    while len(office.hand.host.published) < 2:
        assert parked_again.told() == {}
        await asyncio.sleep(0.01)
    await after(0.1)
    due_at = office.latest.headers["consent-due-at"]
    (told,) = parked_again.told().items()
    assert told[0] == "shop"
    assert abs(told[1] - due_at) < 100
    assert now() - began < 1
    assert parked_again.told() == {}


@in_virtual_time
async def test_a_bundle_that_is_opened_tells_nothing() -> None:
    office = Office()
    office.in_force = [PAUSED]
    bundle = await office.come(2)
    office.in_force = [SHOP]
    await office.come_back(bundle)
    await after(GATHERED_SECONDS)
    assert office.pipeline.parked_again.told() == {}


def test_an_id_that_is_none_of_ours_is_told_as_nobodys() -> None:
    parked_again = ParkedAgain(lambda one: one == "shop")
    for one in ("shop", "lena@a.example", None):
        parked_again.note(one, 2_000)
    assert parked_again.told() == {"shop": 2_000, "": 2_000}


def test_the_latest_time_counts_and_what_does_not_fit_is_told_next() -> None:
    parked_again = ParkedAgain(lambda _: True)
    names = [f"customer-{number:04}" for number in range(200)]
    for name in names:
        parked_again.note(name, 2_000)
    parked_again.note(names[0], 3_000)
    parked_again.note(names[0], 1_500)
    found: list[str] = []
    first = parked_again.told()
    assert first[names[0]] == 3_000
    told = first
    while told:
        assert len(str(told)) <= 2 * MOST_BYTES
        found += told
        told = parked_again.told()
    assert found == names
    assert len(first) < len(names)

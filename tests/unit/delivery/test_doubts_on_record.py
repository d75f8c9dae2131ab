"""What the ledger makes of events in doubt, by the receipts that a worker writes of them: none
waits for ever whose copy has ended, and what has not ended is missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devtools.made_receipts import MadeWorker
from tests.unit.delivery.pipeline_parts import NOON, SHOP, body
from tests.unit.delivery.test_receipting import Book
from tests.unit.delivery.test_waiting_for_a_person import SECOND, Office
from tests.unit.delivery.virtual_time import after, in_virtual_time
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file
from worker.delivery.bundles.gathering import _GATHER_SECONDS
from worker.evidence.receipt import encode_fields, read_receipt
from worker.ledger.blanking import blank
from worker.ledger.conservation import Conservation
from worker.ledger.overview import overview
from worker.ledger.packing import pack_user
from worker.ledger.stories import Wanted, find_event
from worker.ordering.store_protocol import StoreUnavailable

HALF = "half.json does not tell its organization"
TOMORROW_MS = round(NOON * 1000) + 2 * 86_400_000
LENA = f"202603:{'a' * 32}"
REPLAYED = {"consent-replays": 1}


class Named(Book):
    """Persons are called as the ledger keeps them."""

    def user_hash(self, organization_user_id: str, at_ms: int) -> str | None:
        return LENA


class Read:
    """A ledger that has read what an office wrote, each receipt by itself."""

    def __init__(self, ledger: LedgerFile, book: Book) -> None:
        self._ledger = ledger
        self._book = book
        self._worker = MadeWorker()

    def conservation(self) -> Conservation:
        rows = [read_receipt(encode_fields(one)) for one in self._book.written]
        self._book.written.clear()
        for one in rows:
            self._ledger.take(self._worker.receipts([one]))
        with self._ledger.transaction() as connection:
            return overview(connection, TOMORROW_MS).conservation

    def lives(self, event: str) -> dict[str, list[str]]:
        """Its steps by integration."""
        with self._ledger.transaction() as connection:
            return {
                one.integration: [step.receipt.outcome for step in one.steps]
                for one in find_event(connection, event, Wanted()).stories
            }

    def blank(self) -> int:
        packed = pack_user(LENA)
        assert packed is not None
        with self._ledger.transaction() as connection:
            return blank(connection, {packed}, "")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[LedgerFile]:
    with ledger_file(tmp_path) as made:
        yield made


def _office(ledger: LedgerFile) -> tuple[Office, Read]:
    book = Named()
    return Office(book), Read(ledger, book)


async def _take(office: Office, event: str, headers: dict[str, Any] | None = None) -> None:
    await office.take(body(event), headers)
    await after(2 * _GATHER_SECONDS)


@pytest.mark.parametrize("times", [1, 2])
def test_a_copy_that_nobody_wants(ledger: LedgerFile, times: int) -> None:
    @in_virtual_time
    async def test() -> None:
        office, read = _office(ledger)
        office.doubt_about_others = HALF
        parked = await office.come(1)
        for _ in range(times - 1):
            parked = await office.come_back(parked)
        assert not read.conservation().adds_up, "until then it is missed"
        office.doubt_about_others = None
        await office.come_back(parked)
        said = read.conservation()
        assert said.adds_up
        assert (said.total.delivered, said.total.skipped, said.total.waiting) == (1, 1, 0)
        assert read.lives("e1")[""] == ["parked"] * times + ["skipped"]

    test()


def test_a_copy_whose_event_had_a_doubt_of_its_own(ledger: LedgerFile) -> None:
    """The first doubt is the event's, since there is no integration; the second one is a copy's."""

    @in_virtual_time
    async def test() -> None:
        office, read = _office(ledger)
        office.in_force, office.doubt, office.doubt_about_others = [], HALF, HALF
        parked = await office.come(1)
        office.in_force = [SHOP]
        parked = await office.come_back(parked)
        office.doubt = office.doubt_about_others = None
        await office.come_back(parked)
        said = read.conservation()
        assert said.adds_up, said.missing
        assert (said.total.delivered, said.total.waiting) == (1, 0)

    test()


def test_an_event_that_comes_again_while_there_is_doubt(ledger: LedgerFile) -> None:
    @in_virtual_time
    async def test() -> None:
        office, read = _office(ledger)
        await _take(office, "e1")
        office.in_force, office.doubt = [], "no integration is valid"
        await _take(office, "e1")
        parked = await office.come_back(office.latest)
        office.in_force, office.doubt = [SHOP], None
        await office.come_back(parked)
        assert office.told == ["delivered", "parked", "parked", "duplicate"]
        said = read.conservation()
        assert said.adds_up, said.missing
        assert (said.total.delivered, said.total.begun) == (1, 1)
        assert read.lives("e1") == {"shop": ["delivered", "parked", "parked", "skipped"]}
        assert read.blank() == 4, "a person's erasure finds all of it"

    test()


def test_a_copy_whose_integration_has_another_id_since(ledger: LedgerFile) -> None:
    @in_virtual_time
    async def test() -> None:
        office, read = _office(ledger)
        office.broken = ["old"]
        parked = await office.come(1)
        assert not read.conservation().adds_up, "until then it is missed"
        office.broken, office.in_force = [], [SHOP, SECOND]
        await office.come_back(parked)
        said = read.conservation()
        assert said.adds_up, said.missing
        assert (said.total.delivered, said.total.waiting) == (2, 0)
        assert read.lives("e1") == {
            "shop": ["delivered"],
            "old": ["parked", "skipped"],
            "second": ["delivered"],
        }

    test()


@pytest.mark.parametrize("is_disabled", [False, True])
def test_a_replay_in_doubt_that_ends_with_nothing_to_do(
    ledger: LedgerFile, is_disabled: bool
) -> None:
    @in_virtual_time
    async def test() -> None:
        office, read = _office(ledger)
        office.in_force, office.doubt = [], "no integration is valid"
        await _take(office, "e1", REPLAYED)
        office.doubt = None
        if is_disabled:
            office.in_force = [SHOP.model_copy(update={"enabled": False})]
        await office.come_back(office.latest)
        said = read.conservation()
        assert said.adds_up, said.missing
        assert (said.total.skipped, said.total.waiting) == (1, 0)

    test()


@pytest.mark.parametrize("is_new", [True, False], ids=["a new one", "none"])
def test_an_event_that_waited_until_the_fleet_could_be_asked(
    ledger: LedgerFile, is_new: bool
) -> None:
    """Whether its organization has an integration."""

    @in_virtual_time
    async def test() -> None:
        is_away = True

        async def ask() -> None:
            if is_away:
                raise StoreUnavailable("away")

        book = Named()
        office, read = Office(book, ask), Read(ledger, book)
        office.in_force = []
        await _take(office, "e1")
        await after(1)
        assert not read.conservation().adds_up, "until then it is missed"
        is_away = False
        office.in_force = [SHOP] if is_new else []
        await office.come_back(office.latest)
        await after(1)
        said = read.conservation()
        assert said.adds_up, said.missing
        lives = {"shop": ["parked", "delivered"]} if is_new else {"": ["parked", "skipped"]}
        assert read.lives("e1") == lives

    test()

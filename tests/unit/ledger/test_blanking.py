"""What the tables have of a person who was erased."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection

from devtools.made_receipts import MadeWorker, made_now_ms, receipt
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file
from worker.broker.stream_consumer import Record
from worker.evidence.erasure_receipts import EVERYWHERE, erased_rows
from worker.evidence.receipt import Receipt
from worker.evidence.signing import Keyring
from worker.evidence.user_hash import user_hashes
from worker.ledger.blanking import blank
from worker.ledger.database import Database
from worker.ledger.packing import pack_user, users_of
from worker.ledger.records_into_tables import TakingIn
from worker.ledger.retention import prune
from worker.ledger.schema import LIVES
from worker.ledger.stored_receipts import receipts_with
from worker.ledger.stories import Found, Wanted, find_event, find_users

KEYS = {"202610": b"1" * 32, "202611": b"2" * 32}
OCTOBER, NOVEMBER = user_hashes("anna", KEYS)
EMIL = user_hashes("emil", KEYS)[1]
DAY_MS = 86_400_000


def _erasure(worker: MadeWorker, places: Sequence[tuple[str, str]] = EVERYWHERE) -> bytes:
    rows = list(erased_rows("anna", KEYS, places, made_now_ms()))
    return worker.chain.message("receipts", rows, made_now_ms())


def _of_anna(connection: Connection) -> Found:
    return find_users(connection, users_of("anna", KEYS), Wanted())


def _events(ledger: LedgerFile, person: str) -> set[str]:
    with ledger.transaction() as connection:
        found = find_users(connection, users_of(person, KEYS), Wanted())
    return {one.event for one in found.stories}


def test_a_person_is_blanked_and_the_chain_stays_whole(tmp_path: Path) -> None:
    worker = MadeWorker()
    with ledger_file(tmp_path) as ledger:
        ledger.take(worker.receipts([receipt("ev-1", user=NOVEMBER), receipt("ev-2")]))
        with ledger.transaction() as connection:
            before = {one.id: one.row_digest for one in receipts_with(connection, [1, 2])}
        ledger.take(_erasure(worker))
        with ledger.transaction() as connection:
            after = receipts_with(connection, [1, 2])
            assert {one.id: one.row_digest for one in after} == before
            assert [one.is_blanked for one in after] == [True, False]
            assert after[0].row is None
            gone = after[0].receipt
            assert (gone.event, gone.user, gone.xaction, gone.attributes) == ("", None, None, {})
            assert not _of_anna(connection).stories
            assert blank(connection, set(users_of("anna", KEYS)), "") == 0
            (story,) = find_event(connection, "ev-1", Wanted()).stories
            assert (story.event, story.outcome) == ("", "delivered")


def test_at_one_integration_the_others_stay_and_so_do_other_persons(tmp_path: Path) -> None:
    worker = MadeWorker()
    rows = [
        receipt("ev-1", user=NOVEMBER),
        receipt("ev-1", user=NOVEMBER, integration="other"),
        receipt("ev-2", user=EMIL),
    ]
    with ledger_file(tmp_path) as ledger:
        ledger.take(worker.receipts(rows), _erasure(worker, [("shop", "org-shop")]))
        with ledger.transaction() as connection:
            (story,) = _of_anna(connection).stories
            assert (story.integration, story.event) == ("other", "ev-1")
        assert _events(ledger, "emil") == {"ev-2"}


def test_a_life_that_goes_over_the_end_of_a_month_is_blanked_whole(tmp_path: Path) -> None:
    worker = MadeWorker()
    waits = receipt("ev-1", user=OCTOBER, outcome="retried", reason="timeout", at=1_000)
    with ledger_file(tmp_path) as ledger:
        ledger.take(worker.receipts([waits, receipt("ev-1", user=NOVEMBER)]), _erasure(worker))
        with ledger.transaction() as connection:
            assert [one.is_blanked for one in receipts_with(connection, [1, 2])] == [True, True]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_choice_of_after_it_stays_however_the_records_are_cut(
    tmp_path: Path, at_once: bool
) -> None:
    worker = MadeWorker()
    bodies = [
        worker.receipts([receipt("ev-1", user=NOVEMBER)]),
        _erasure(worker),
        worker.receipts([receipt("ev-2", user=NOVEMBER)]),
    ]
    with ledger_file(tmp_path) as ledger:
        for cut in [bodies] if at_once else [[one] for one in bodies]:
            ledger.take(*cut)
        assert _events(ledger, "anna") == {"ev-2"}


def test_what_waited_in_doubt_is_blanked_with_the_life_that_came_of_it(tmp_path: Path) -> None:
    worker = MadeWorker()
    doubt = receipt("ev-1", user=NOVEMBER, outcome="parked", reason="in-doubt", integration="")
    skipped = receipt("ev-1", outcome="skipped", reason="erased", choice=None, attributes={})
    with ledger_file(tmp_path) as ledger:
        ledger.take(worker.receipts([doubt]))
        ledger.take(worker.receipts([skipped]))
        ledger.take(_erasure(worker))
        with ledger.transaction() as connection:
            assert [one.is_blanked for one in receipts_with(connection, [1, 2])] == [True, False]


def test_a_strange_receipt_of_an_erasure_stops_no_ledger(tmp_path: Path) -> None:
    worker = MadeWorker()
    strange: list[Receipt] = [
        receipt("ev-2", outcome="erased", user=NOVEMBER, integration="never seen"),
        receipt("ev-3", outcome="erased", user="nobody"),
        receipt("ev-4", outcome="erased", user=NOVEMBER),
    ]
    with ledger_file(tmp_path) as ledger:
        ledger.take(worker.receipts([receipt("ev-1", user=NOVEMBER)]))
        for one in strange:
            ledger.take(worker.receipts([one]))
        assert _events(ledger, "anna") == set()


def test_nobody_without_the_secret_has_a_person_blanked(tmp_path: Path) -> None:
    secret = b"planted-secret-of-the-receipts"
    ours, forger = MadeWorker(secret=secret), MadeWorker()
    with ledger_file(tmp_path) as ledger:
        taking_in = TakingIn(ledger.database, Keyring([secret]))
        bodies = [ours.receipts([receipt("ev-1", user=NOVEMBER)]), _erasure(forger)]
        records = [Record(number, body) for number, body in enumerate(bodies)]
        assert taking_in.take(records, made_now_ms()) == {"foreign": 1}
        assert _events(ledger, "anna") == {"ev-1"}


def test_a_life_that_was_blanked_goes_with_its_retention(tmp_path: Path) -> None:
    worker = MadeWorker()
    now = made_now_ms()
    with ledger_file(tmp_path) as ledger:
        ledger.take(
            worker.receipts([receipt("ev-1", user=NOVEMBER, at=now - 10 * DAY_MS)]),
            _erasure(worker),
        )
        with ledger.transaction() as connection:
            assert prune(connection, now - DAY_MS) == 1
        with ledger.transaction() as connection:
            assert not find_event(connection, "ev-1", Wanted()).stories
        assert ledger.count(LIVES) == len(KEYS), "those of the erasure"


def test_the_hash_is_the_one_of_the_receipts() -> None:
    assert [pack_user(one) for one in (OCTOBER, NOVEMBER)] == users_of("anna", KEYS)


def test_the_file_keeps_no_bytes_of_what_was_blanked(tmp_path: Path) -> None:
    worker = MadeWorker()
    events = [f"event-of-anna-{number:03d}" for number in range(200)]
    rows = [receipt(one, user=NOVEMBER, xaction=f"xaction-{one}") for one in events]
    with ledger_file(tmp_path) as ledger:
        ledger.take(worker.receipts(rows), worker.receipts([receipt("ev-1")]))
    assert b"event-of-anna-" in (tmp_path / "ledger.sqlite").read_bytes()
    database = Database(f"sqlite://{tmp_path}/ledger.sqlite", writes=True)
    try:
        record = Record(2, _erasure(worker))
        TakingIn(database, Keyring()).take([record], made_now_ms())
    finally:
        database.close()
    assert b"event-of-anna-" not in b"".join(one.read_bytes() for one in tmp_path.iterdir())

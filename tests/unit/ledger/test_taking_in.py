"""What the tables have after records were taken in."""

from __future__ import annotations

import gc
import random
from pathlib import Path

import pytest
from sqlalchemy import select

from devtools.made_receipts import MadeWorker, made_now_ms, many, receipt, state
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file
from worker.evidence.anchors import Head, encode_head
from worker.evidence.heading import line_digest, read_message
from worker.evidence.signing import Keyring
from worker.ledger.overview import overview
from worker.ledger.packing import users_of
from worker.ledger.records import Start
from worker.ledger.records_into_tables import TakingIn
from worker.ledger.retention import prune
from worker.ledger.schema import BALANCES, CHAINS, LIVES, MESSAGES, MINUTES, NAMES, RECEIPTS
from worker.ledger.stored_receipts import receipts_with
from worker.ledger.stories import Wanted, find_event, find_users
from worker.ledger.trouble import LedgerTrouble

DAY_MS = 86_400_000
ANNA = f"202611:{'a' * 32}"


def test_every_receipt_can_be_written_again_byte_for_byte(tmp_path: Path) -> None:
    rows = list(many(500, integrations=5))
    worker = MadeWorker()
    with ledger_file(tmp_path) as ledger:
        ledger.take(*(worker.receipts(rows[at : at + 50]) for at in range(0, 500, 50)))
        with ledger.transaction() as connection:
            ids = list(connection.execute(select(RECEIPTS.c.id)).scalars())
            found = receipts_with(connection, ids)
        assert [one.receipt for one in found] == rows[:500]
        assert all(one.raw is None for one in found)


def test_however_the_records_are_cut_the_tables_are_the_same(tmp_path: Path) -> None:
    chance = random.Random(3)
    worker = MadeWorker()
    events = [receipt(f"ev-{n % 40}", at=1_000_000 + n, outcome=_outcome(n)) for n in range(300)]
    bodies = [worker.receipts([one]) for one in events]
    told = []
    for name, cuts in (("one", []), ("many", sorted(chance.sample(range(1, 300), 40)))):
        path = tmp_path / name
        path.mkdir()
        with ledger_file(path) as ledger:
            for start, end in zip([0, *cuts], [*cuts, 300], strict=True):
                ledger.take(*bodies[start:end])
            tables = (LIVES, BALANCES, MINUTES, RECEIPTS, NAMES)
            told.append([sorted(ledger.rows(table), key=repr) for table in tables])
            assert sum(row.lives for row in ledger.rows(BALANCES)) == 40
    assert len(told[0][0]) == 40
    # Names get their numbers by and by.
    assert [len(one) for one in told[0]] == [len(one) for one in told[1]]


def _outcome(number: int) -> str:
    return ("retried", "parked", "delivered", "skipped", "dead")[number % 5 if number > 200 else 0]


def test_what_fails_is_not_half_there(tmp_path: Path) -> None:
    worker = MadeWorker()
    with ledger_file(tmp_path) as ledger:
        ledger.take(worker.receipts([receipt("ev-1")]))
        with ledger.transaction() as connection:
            connection.exec_driver_sql(
                "CREATE TRIGGER full BEFORE INSERT ON minutes BEGIN SELECT RAISE(FAIL, 'x'); END"
            )
        second = worker.receipts([receipt("ev-2", organization="new")])
        with pytest.raises(LedgerTrouble):
            ledger.take(second)
        assert gc.isenabled(), "others of the process go on making circles"
        assert ledger.count(RECEIPTS) == ledger.count(MESSAGES) == 1
        with ledger.transaction() as connection:
            connection.exec_driver_sql("DROP TRIGGER full")
        ledger.offset -= 1
        assert ledger.take(second) == {}
        assert ledger.count(RECEIPTS) == 2


def test_records_that_come_again_are_passed_over(tmp_path: Path) -> None:
    worker = MadeWorker()
    bodies = [worker.receipts([receipt()]) for _ in range(3)]
    with ledger_file(tmp_path) as ledger:
        ledger.take(*bodies)
        ledger.offset = 1
        ledger.take(*bodies[1:], worker.receipts([receipt()]))
        assert ledger.count(RECEIPTS) == 4


def test_an_anchor_tells_what_was_cut_off(tmp_path: Path) -> None:
    worker, ledger_chain = MadeWorker(), MadeWorker()
    whole = MadeWorker()
    kept = [worker.receipts([receipt()]) for _ in range(3)]
    now = made_now_ms()
    rows = [
        encode_head(Head(worker.chain.id, 2, "0" * 64, now)),
        encode_head(Head(whole.chain.id, 0, "0" * 64, now)),
    ]
    with ledger_file(tmp_path) as ledger:
        assert ledger.take(*kept[:2], ledger_chain.chain.message("anchor", rows, now)) == {"cut": 2}
        assert ledger.take(kept[2], ledger_chain.chain.message("anchor", rows[:1], now)) == {
            "replaced": 1
        }


def _messages(worker: MadeWorker, count: int) -> list[bytes]:
    return [worker.receipts([receipt()]) for _ in range(count)]


def _anchor(*bodies: bytes) -> bytes:
    """What a ledger writes that has seen these messages last."""
    heads = []
    for body in bodies:
        heading, line, _ = read_message(body)
        heads.append(Head(heading.chain, heading.sequence, line_digest(line), heading.at))
    return MadeWorker("ledger:1").chain.message(
        "anchor", [encode_head(one) for one in heads], made_now_ms()
    )


def _truncated(ledger: LedgerFile, lost: int) -> dict[str, int]:
    """The stream's retention took so many records before they were read."""
    ledger.offset += lost
    start = Start(ledger.offset, is_recreated=False, lost=lost)
    return ledger.taking_in.begin(start, made_now_ms())


def test_what_retention_took_before_it_was_read_is_no_manipulation(tmp_path: Path) -> None:
    going_on, silent, ended, unknown = (MadeWorker(f"host:{number}") for number in range(4))
    with ledger_file(tmp_path) as ledger:
        ledger.take(*(one for each in (going_on, silent, ended) for one in _messages(each, 2)))
        fell = [_messages(one, 5)[-1] for one in (going_on, silent, ended, unknown)]
        assert _truncated(ledger, 20) == {"truncated": 20}
        assert ledger.take(_anchor(*fell)) == {}
        ledger.taking_in = TakingIn(ledger.database, Keyring())  # started again meanwhile
        assert ledger.take(*_messages(going_on, 2)) == {}
        assert ledger.take(_anchor(*fell)) == {}
        assert ledger.take(*_messages(silent, 2), *_messages(unknown, 2)) == {}


def test_after_a_truncation_each_chain_may_go_on_anywhere_once(tmp_path: Path) -> None:
    worker, other = MadeWorker(), MadeWorker("host:2")
    with ledger_file(tmp_path) as ledger:
        ledger.take(*_messages(worker, 2), *_messages(other, 2))
        _messages(worker, 3), _messages(other, 3)
        _truncated(ledger, 6)
        first, _, third = _messages(worker, 3)
        assert ledger.take(first, third) == {"removed": 1}, "in one transaction"
        assert ledger.take(_messages(other, 1)[0]) == {}
        assert ledger.take(_messages(other, 2)[1]) == {"removed": 1}, "in several"
        assert ledger.take(_anchor(_messages(other, 1)[0])) == {"cut": 1}
        changed = _messages(other, 1)[0]
        _truncated(ledger, 9)
        assert ledger.take(changed.replace(b'"given"', b'"taken"')) == {"changed": 1}


def test_of_a_stream_that_was_made_anew_since_retention_explains_nothing(tmp_path: Path) -> None:
    worker = MadeWorker()
    with ledger_file(tmp_path) as ledger:
        ledger.take(*_messages(worker, 2))
        _messages(worker, 3)
        _truncated(ledger, 3)
        ledger.take(*_messages(worker, 1))
        ledger.offset = 0
        ledger.taking_in.begin(Start(0, is_recreated=True), made_now_ms() + 1)
        assert ledger.take(_messages(worker, 2)[1]) == {"removed": 1}


def test_a_person_is_found_in_every_month_and_nobody_else(tmp_path: Path) -> None:
    keys = {"202610": b"1" * 32, "202611": b"2" * 32}
    users = users_of("anna", keys)
    worker = MadeWorker()
    hashes = [f"{month}:{packed[4:].hex()}" for month, packed in zip(keys, users, strict=True)]
    rows = [receipt(f"ev-{n}", user=one, at=1000 + n) for n, one in enumerate([*hashes, ANNA])]
    with ledger_file(tmp_path) as ledger:
        ledger.take(worker.receipts(rows))
        with ledger.transaction() as connection:
            found = find_users(connection, users, Wanted())
            assert [one.event for one in found.stories] == ["ev-0", "ev-1"]
            for wanted in (Wanted(since=1001), Wanted(until=1001), Wanted(integration="shop")):
                assert find_users(connection, users, wanted).stories
            for wanted in (Wanted(integration="other"), Wanted(outcome="dead"), Wanted(since=9999)):
                assert not find_users(connection, users, wanted).stories


def test_what_is_old_goes_and_what_is_new_stays(tmp_path: Path) -> None:
    worker = MadeWorker()
    now = made_now_ms()
    old = now - 10 * DAY_MS
    waits = receipt("ev-1", outcome="retried", reason="timeout", at=old)
    with ledger_file(tmp_path) as ledger:
        ledger.take(
            worker.receipts([waits, receipt("ev-2", at=old)]),
            worker.receipts([receipt("ev-1", at=now)]),
        )
        for expected in (1, 0):
            with ledger.transaction() as connection:
                assert prune(connection, now - DAY_MS) == expected
        assert (ledger.count(MESSAGES), ledger.count(RECEIPTS), ledger.count(LIVES)) == (1, 1, 1)
        assert ledger.count(MINUTES) == 1
        with ledger.transaction() as connection:
            (story,) = find_event(connection, "ev-1", Wanted()).stories
            assert [one.receipt.outcome for one in story.steps] == ["delivered"]
            assert not find_event(connection, "ev-2", Wanted()).stories
            assert prune(connection, now + DAY_MS) == 1
        with ledger.transaction() as connection:
            assert prune(connection, now + DAY_MS) == 0
        assert ledger.count(RECEIPTS) == ledger.count(LIVES) == ledger.count(CHAINS) == 0


def test_a_clock_that_is_ahead_makes_nobody_live_on(tmp_path: Path) -> None:
    worker = MadeWorker()
    now = made_now_ms()
    with ledger_file(tmp_path) as ledger:
        ledger.take(worker.chain.message("state", [state()], now + DAY_MS))
        with ledger.transaction() as connection:
            (one,) = overview(connection, now).workers
            assert one.is_live(now + 50_000)
            assert one.ended_without_end(now + 100_000)


def test_an_event_in_doubt_is_no_life_of_its_own(tmp_path: Path) -> None:
    worker = MadeWorker()
    now = made_now_ms()
    doubt = {"outcome": "parked", "reason": "in-doubt", "integration": "", "due_at": now}
    first = [receipt("ev-1", **doubt), receipt("ev-2", **doubt), receipt("ev-3", **doubt)]
    both = [receipt("ev-1"), receipt("ev-1", integration="other")]
    nobody = receipt("ev-2", outcome="skipped", reason="no-integration", integration="")
    with ledger_file(tmp_path) as ledger:
        ledger.take(worker.receipts(first))
        ledger.take(worker.receipts(both), worker.receipts([nobody]))
        assert ledger.count(LIVES) == 4
        with ledger.transaction() as connection:
            found = find_event(connection, "ev-1", Wanted()).stories
            told = {one.integration: [step.receipt.outcome for step in one.steps] for one in found}
            assert told == {"shop": ["parked", "delivered"], "other": ["delivered"]}
            total = overview(connection, now).conservation.total
            assert (total.waiting, total.skipped, total.delivered) == (1, 1, 2)

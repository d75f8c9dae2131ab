"""What a pass over the dead letters makes of the ledger, and what is known of letters then."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from devtools.made_receipts import MadeWorker, made_now_ms, receipt
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file
from worker.broker.dead_letter import DeadLetter, fingerprint_of
from worker.evidence.letter_cause import fingerprint_of_receipt
from worker.evidence.receipt import Receipt
from worker.ledger.known_letters import (
    KnownLetter,
    LetterPass,
    known_letters,
    last_pass,
    latest_letters,
    letters_called,
)
from worker.ledger.letter_group_list import letter_groups
from worker.ledger.letter_pass_rows import SeenLetter
from worker.ledger.overview import overview
from worker.ledger.packing import life_key, pack_event
from worker.ledger.retention import prune
from worker.ledger.schema import LIVES
from worker.ledger.schema_letters import LETTERS
from worker.ledger.stories import Found, Wanted, find_event, find_integration

DAY_MS = 86_400_000
GONE = {"outcome": "dead", "reason": "adobe-rejected", "error": "adobe-rejected", "status": 400}


def letter(number: int = 0, **said: Any) -> DeadLetter:
    """One that RabbitMQ has made itself."""
    usual: dict[str, Any] = {
        "id": f"{number:032x}",
        "reason": "poison",
        "integration": "shop",
        "error": None,
        "detail": None,
        "http_status": None,
        "attempts": 0,
        "first_attempt_at_ms": None,
        "dead_at_ms": None,
        "replays": 0,
        "epoch": None,
        "config": None,
        "body_bytes": 300,
    }
    return DeadLetter(**(usual | said))


def seen(event: str, one: DeadLetter, updated_at: int | None = None) -> SeenLetter:
    """`one` as a pass sees it, whose body has this event."""
    names = [(event, updated_at), ("body:" + "0" * 32, None)]
    keys = [
        life_key(pack_event(name), at, integration, one.replays)
        for name, at in names
        for integration in dict.fromkeys((one.integration or "", ""))
    ]
    return SeenLetter(one, keys, ())


def passed(ledger: LedgerFile, letters: Sequence[SeenLetter], began_at: int | None = None) -> int:
    """A whole pass; gives how many letters had no receipt."""
    now = made_now_ms() if began_at is None else began_at
    number = ledger.taking_in.begin_letters()
    unknown = ledger.taking_in.put_letters(number, letters, now)
    run = LetterPass(now, now + 1, len(letters), unknown, 0)
    ledger.taking_in.end_letters(number, run)
    return unknown


def _letters(ledger: LedgerFile) -> list[KnownLetter]:
    with ledger.transaction() as connection:
        return list(latest_letters(connection))


def _known(ledger: LedgerFile) -> int:
    with ledger.transaction() as connection:
        return known_letters(connection)


def _found(ledger: LedgerFile, event: str) -> Found:
    with ledger.transaction() as connection:
        return find_event(connection, event, Wanted())


def _dead_and_waiting(ledger: LedgerFile) -> tuple[int, int]:
    with ledger.transaction() as connection:
        total = overview(connection, made_now_ms()).conservation.total
    return total.dead, total.waiting


def test_a_letter_without_a_receipt_is_an_event_that_is_dead(tmp_path: Path) -> None:
    with ledger_file(tmp_path) as ledger:
        for _ in range(2):  # a second pass counts nothing twice
            assert passed(ledger, [seen("ev-1", letter(1))]) == 1
            assert _dead_and_waiting(ledger) == (1, 0)
        (story,) = _found(ledger, "ev-1").stories
        assert (story.integration, story.outcome, story.steps) == ("shop", "dead", [])
        assert story.letter == letter(1)
        with ledger.transaction() as connection:
            assert find_integration(connection, Wanted("shop", outcome="dead")).stories
            assert overview(connection, made_now_ms()).letters == last_pass(connection)


def test_an_event_that_waits_ends_by_its_letter_and_is_missing_no_more(tmp_path: Path) -> None:
    old = made_now_ms() - DAY_MS
    waits = receipt("ev-1", outcome="retried", reason="timeout", at=old, due_at=old + 5000)
    with ledger_file(tmp_path) as ledger:
        ledger.take(MadeWorker().receipts([waits]))
        with ledger.transaction() as connection:
            assert overview(connection, made_now_ms()).conservation.missing
        assert passed(ledger, [seen("ev-1", letter(1))]) == 1
        with ledger.transaction() as connection:
            assert not overview(connection, made_now_ms()).conservation.missing
        assert _dead_and_waiting(ledger) == (1, 0)
        (story,) = _found(ledger, "ev-1").stories
        assert (story.outcome, len(story.steps)) == ("dead", 1)
        # What a worker tells of it after all counts as it does otherwise.
        ledger.take(MadeWorker().receipts([receipt("ev-1", at=made_now_ms())]))
        assert _found(ledger, "ev-1").stories[0].outcome == "delivered"
        assert _dead_and_waiting(ledger) == (0, 0)


def _dead_receipt(event: str, **changes: Any) -> Receipt:
    return receipt(event, **(GONE | changes))


def test_a_letter_with_a_receipt_is_known_and_in_the_group_of_its_headers(tmp_path: Path) -> None:
    dead = _dead_receipt("ev-1", code="DCVS-1106-400")
    same = letter(
        1,
        reason="adobe-rejected",
        error="adobe-rejected",
        detail="HTTP 400: DCVS-1106-400: required key",
        http_status=400,
        config=dead.config,
        dead_at_ms=dead.at + 1,
    )
    with ledger_file(tmp_path) as ledger:
        ledger.take(MadeWorker().receipts([dead]))
        assert passed(ledger, [seen("ev-1", same), seen("ev-9", same)]) == 1
        with ledger.transaction() as connection:
            (group,) = letter_groups(connection)
        assert group.letters == 2
        assert group.fingerprint == fingerprint_of(same) == fingerprint_of_receipt(dead)


def test_a_detail_that_was_kept_as_it_came_is_told_masked(tmp_path: Path) -> None:
    with ledger_file(tmp_path) as ledger:
        passed(ledger, [seen("ev-1", letter(1, detail="of lena@b.example"))])
        with ledger.transaction() as connection:
            (told,) = letters_called(connection, letter(1).id)
    assert told.letter.detail == "of <email>"


def test_what_a_worker_called_by_its_body_or_by_no_integration_is_known(tmp_path: Path) -> None:
    unread = _dead_receipt("body:" + "0" * 32, reason="too-large", integration="")
    with ledger_file(tmp_path) as ledger:
        ledger.take(MadeWorker().receipts([unread]))
        assert passed(ledger, [seen("ev-1", letter(1, integration="gone"))]) == 0
        assert _dead_and_waiting(ledger) == (1, 0)


def test_letters_are_those_of_the_last_pass_and_what_died_since(tmp_path: Path) -> None:
    now = made_now_ms()
    worker = MadeWorker()
    with ledger_file(tmp_path) as ledger:
        ledger.take(worker.receipts([_dead_receipt("ev-1", at=now - 9000)]))
        assert [one.letter.id for one in _letters(ledger)] == [""], "no pass yet"
        letters = [seen(f"ev-{n}", letter(n, dead_at_ms=now - 9000 + n)) for n in (1, 2, 3)]
        passed(ledger, letters, began_at=now - 5000)
        passed(ledger, letters[:2], began_at=now - 4000)
        ledger.take(worker.receipts([_dead_receipt("ev-4", at=now)]))
        kept = _letters(ledger)
        assert [one.letter.id[-1:] for one in kept] == ["", "2", "1"]
        assert kept[0].letter.http_status == 400
        assert _known(ledger) == 3
        with ledger.transaction() as connection:
            assert [one.letter for one in letters_called(connection, f"{2:032x}")] == [
                letters[1].letter
            ]
            assert not letters_called(connection, f"{3:032x}"), "it is gone"


def test_a_pass_that_did_not_end_changes_no_list(tmp_path: Path) -> None:
    with ledger_file(tmp_path) as ledger:
        passed(ledger, [seen("ev-1", letter(1))])
        number = ledger.taking_in.begin_letters()
        ledger.taking_in.put_letters(number, [seen("ev-2", letter(2))], made_now_ms())
        assert [one.letter.id for one in _letters(ledger)] == [f"{1:032x}"]
        passed(ledger, [seen("ev-3", letter(3))])
        assert [one.letter.id for one in _letters(ledger)] == [f"{3:032x}"]
        assert ledger.count(LETTERS) == 1


def test_what_lies_in_the_queue_outlives_the_retention_of_receipts(tmp_path: Path) -> None:
    now = made_now_ms()
    old = now - 10 * DAY_MS
    worker = MadeWorker()
    with ledger_file(tmp_path) as ledger:
        ledger.take(worker.receipts([_dead_receipt("ev-1", at=old), _dead_receipt("ev-2", at=old)]))
        letters = [seen(f"ev-{n}", letter(n, dead_at_ms=old)) for n in (1, 3)]
        passed(ledger, letters)
        _prune(ledger, now - DAY_MS)
        assert _lives(ledger) == 2
        assert passed(ledger, letters[:1]) == 1
        _prune(ledger, now - DAY_MS)
        assert _lives(ledger) == 1
        assert [one.letter for one in _letters(ledger)] == [letters[0].letter]


def _prune(ledger: LedgerFile, before_ms: int) -> None:
    more = 1
    while more:
        with ledger.transaction() as connection:
            more = prune(connection, before_ms)


def _lives(ledger: LedgerFile) -> int:
    with ledger.transaction() as connection:
        return len(connection.execute(select(LIVES.c.id)).all())


@pytest.mark.parametrize("error", [None, "timeout"])
def test_without_an_error_of_its_own_a_letter_is_told_as_before(
    tmp_path: Path, error: str | None
) -> None:
    """Receipts of workers that tell no error: that of the last retry is taken."""
    worker = MadeWorker()
    rows = [receipt("ev-1", outcome="retried", reason="timeout", at=1000)] * (error is not None)
    rows.append(receipt("ev-1", outcome="dead", reason="retries-exhausted", at=2000))
    with ledger_file(tmp_path) as ledger:
        ledger.take(worker.receipts(rows))
        with ledger.transaction() as connection:
            (group,) = letter_groups(connection)
        assert group.fingerprint.error == (error or "retries-exhausted")

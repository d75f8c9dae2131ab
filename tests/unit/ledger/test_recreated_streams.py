"""A stream that was made anew has old messages: the ledger takes in what it never had, and nothing
twice, also what its own retention has taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from devtools.made_receipts import MadeWorker, made_now_ms, receipt
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file
from tests.unit.ledger.made_acts import made_act
from worker.evidence.act import encode_act
from worker.evidence.chain import Chain
from worker.ledger.records import Start
from worker.ledger.retention import prune
from worker.ledger.schema import ACTS, BALANCES, LIVES, MESSAGES, RECEIPTS
from worker.ledger.stories import Wanted, find_event

DAY_MS = 86_400_000


def _act(at: int) -> list[bytes]:
    """Three messages of a command."""
    chain = Chain("console:7")
    rows = [encode_act(made_act(1, at=at))]
    return [
        chain.message("begin", [], at),
        chain.message("trail", rows, at),
        chain.message("end", [], at),
    ]


def _messages(worker: MadeWorker, *times: int) -> list[bytes]:
    return [worker.receipts([receipt(f"ev-{at}", at=at)]) for at in times]


def _prune(ledger: LedgerFile, before_ms: int) -> None:
    deleted = 1
    while deleted:
        with ledger.transaction() as connection:
            deleted = prune(connection, before_ms)


def _made_anew(ledger: LedgerFile, *bodies: bytes) -> dict[str, int]:
    """The stream has these now, from its beginning on."""
    ledger.offset = 0
    assert ledger.taking_in.begin(Start(0, is_recreated=True), made_now_ms()) == {"recreated": 1}
    return ledger.take(*bodies)


def _told(ledger: LedgerFile) -> list[Sequence[Any]]:
    """What the ledger tells of events and acts, but for where it stands."""
    balances = sorted((tuple(one) for one in ledger.rows(BALANCES)), key=repr)
    return [balances, *((ledger.count(one),) for one in (MESSAGES, RECEIPTS, LIVES, ACTS))]


def test_what_retention_took_is_not_taken_in_again(tmp_path: Path) -> None:
    now = made_now_ms()
    old = now - 10 * DAY_MS
    going_on, ended = MadeWorker("host:1"), MadeWorker("host:2")
    bodies = [
        *_messages(going_on, old, old + 1),
        *_messages(ended, old + 2),
        *_act(old + 3),
        *_messages(going_on, now),
    ]
    with ledger_file(tmp_path) as ledger:
        assert ledger.take(*bodies) == {}
        _prune(ledger, now - DAY_MS)
        before = _told(ledger)
        assert (ledger.count(MESSAGES), ledger.count(ACTS), ledger.count(LIVES)) == (1, 0, 1)
        assert _made_anew(ledger, *bodies) == {}
        assert _told(ledger) == before
        with ledger.transaction() as connection:
            assert not find_event(connection, f"ev-{old}", Wanted()).stories
        assert ledger.take(*_messages(going_on, now + 1), *_messages(MadeWorker(), now + 2)) == {}
        assert ledger.count(RECEIPTS) == 3


def test_where_nothing_was_taken_what_is_older_counts(tmp_path: Path) -> None:
    now = made_now_ms()
    worker, other = MadeWorker("host:1"), MadeWorker("host:2")
    bodies = _messages(worker, now - DAY_MS, now)
    with ledger_file(tmp_path) as ledger:
        assert ledger.take(*bodies) == {}
        before = _told(ledger)
        assert _made_anew(ledger, *bodies) == {}
        assert _told(ledger) == before
        assert ledger.take(*_messages(other, now - 10 * DAY_MS)) == {}
        assert ledger.count(RECEIPTS) == 3


def test_in_a_stream_that_was_not_made_anew_what_comes_late_counts(tmp_path: Path) -> None:
    now = made_now_ms()
    worker, late = MadeWorker("host:1"), MadeWorker("host:2")
    with ledger_file(tmp_path) as ledger:
        ledger.take(*_messages(worker, now - 10 * DAY_MS, now))
        _prune(ledger, now - DAY_MS)
        assert ledger.take(*_messages(late, now - 10 * DAY_MS)) == {}
        assert ledger.count(RECEIPTS) == 2

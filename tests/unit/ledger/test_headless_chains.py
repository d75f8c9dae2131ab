"""A chain without its beginning is found where nothing but a change of the stream explains it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.made_receipts import MadeWorker, made_now_ms, receipt
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file
from worker.evidence.findings import FindingCode
from worker.evidence.signing import Keyring
from worker.evidence.verification import Verification
from worker.ledger.overview import overview
from worker.ledger.records import Start
from worker.ledger.records_into_tables import TakingIn
from worker.ledger.retention import prune

NOW = made_now_ms()
DAY_MS = 86_400_000


@pytest.fixture(name="ledger")
def _ledger(tmp_path: Path) -> Iterator[LedgerFile]:
    with ledger_file(tmp_path) as ledger:
        yield ledger


def _messages(worker: MadeWorker, count: int, at: int = NOW) -> list[bytes]:
    return [worker.receipts([receipt(at=at)]) for _ in range(count)]


def _without_beginning(count: int = 3) -> list[bytes]:
    worker = MadeWorker("host:2")
    return [worker.begin(), *_messages(worker, 4 + count)][5:]


def test_a_stream_that_was_written_anew_without_the_beginning_of_a_chain(
    ledger: LedgerFile,
) -> None:
    whole = MadeWorker()
    bodies = [whole.begin(), *_without_beginning(), *_messages(whole, 2)]
    verification = Verification(Keyring())
    for offset, body in enumerate(bodies):
        verification.see(offset, body)
    assert FindingCode.HEADLESS in [one.code for one in verification.conclude(NOW)]
    assert ledger.take(*bodies) == {"headless": 1}
    with ledger.transaction() as connection:
        (finding,) = overview(connection, NOW).findings
    assert (finding.kind, finding.worker, finding.sequence) == ("headless", "host:2", 5)


def test_it_is_found_in_the_first_message_and_in_a_later_transaction(ledger: LedgerFile) -> None:
    assert ledger.take(*_without_beginning()) == {"headless": 1}
    assert ledger.take(*_without_beginning()) == {"headless": 1}
    ledger.offset = 0
    ledger.taking_in.begin(Start(0, is_recreated=True), NOW)
    assert ledger.take(*_without_beginning()) == {"headless": 1}, "as `receipts verify` says"


def test_what_fell_with_the_beginning_of_the_stream_is_none(tmp_path: Path) -> None:
    with ledger_file(tmp_path) as ledger:
        ledger.offset = 7
        assert ledger.take(*_without_beginning()) == {}


def test_what_fell_before_it_was_read_is_none(ledger: LedgerFile) -> None:
    ledger.take(*_messages(MadeWorker(), 2))
    ledger.offset += 9
    ledger.taking_in.begin(Start(ledger.offset, is_recreated=False, lost=9), NOW)
    assert ledger.take(*_without_beginning()) == {}


@pytest.mark.parametrize("is_together", [True, False])
@pytest.mark.parametrize("body", ["foreign", "forged", "unreadable"])
def test_what_the_ledger_passed_over_is_none(
    ledger: LedgerFile, body: str, *, is_together: bool
) -> None:
    """A beginning may be among it: its process began before it had the secret, or it was not read
    as what it is.
    """
    secret = b"of the operators"
    ledger.taking_in = TakingIn(ledger.database, Keyring([secret]))
    worker = MadeWorker("host:3", secret)
    late = [worker.begin(), *_messages(worker, 2)][1:]
    forged = MadeWorker("host:4", secret).begin().replace(b'"at":1', b'"at":2')
    passed = {"foreign": MadeWorker().begin(), "forged": forged, "unreadable": b"{}"}[body]
    if is_together:
        assert ledger.take(passed, *late) == {body: 1}
    else:
        assert ledger.take(MadeWorker("host:5", secret).begin(), passed) == {body: 1}
        assert ledger.take(*late) == {}


@pytest.mark.parametrize("others", [0, 1])
def test_what_fell_with_the_retention_of_the_ledger_is_none(
    ledger: LedgerFile, others: int
) -> None:
    silent = MadeWorker("console:7")
    ledger.take(*_messages(silent, 2, NOW - 2 * DAY_MS), *_messages(MadeWorker(), others))
    for _ in range(2):
        with ledger.transaction() as connection:
            prune(connection, NOW - DAY_MS)
    assert ledger.take(*_messages(silent, 1)) == {}

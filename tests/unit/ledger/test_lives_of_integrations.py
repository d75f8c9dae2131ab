"""The lives of an integration are found, whatever else it had meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devtools.made_receipts import MadeWorker, receipt
from tests.unit.cli.conftest import CommandLine
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file
from worker.evidence.act import Act, encode_act
from worker.evidence.receipt import OutcomeName, Receipt
from worker.ledger import stories
from worker.ledger.packing import CHOICES
from worker.ledger.stored_receipts import key_of_life
from worker.ledger.stories import MOST_LIVES, MOST_LOOKED_AT, Found, Wanted, find_integration

TEN = 1_764_496_800_000
HALF_PAST = TEN + 1_800_000
NOON = TEN + 7_200_000


@pytest.fixture(name="ledger")
def _ledger(tmp_path: Path) -> Iterator[LedgerFile]:
    with ledger_file(tmp_path) as ledger:
        yield ledger


def _take(ledger: LedgerFile, receipts: list[Receipt]) -> None:
    worker = MadeWorker()
    for start in range(0, len(receipts), 1_000):
        ledger.take(worker.receipts(receipts[start : start + 1_000]))


def _retried(event: str, at: int, **changes: Any) -> Receipt:
    waits = {"outcome": "retried", "reason": "timeout", "due_at": at + 5_000}
    return receipt(event, at=at, **(waits | changes))


def _find(ledger: LedgerFile, outcome: OutcomeName | None, **changes: Any) -> Found:
    with ledger.transaction() as connection:
        return find_integration(connection, Wanted("shop", outcome=outcome, **changes))


@pytest.mark.parametrize("outcome", ["retried", "parked"])
def test_what_was_lost_while_it_waited_is_found_behind_all_that_went_on(
    ledger: LedgerFile, outcome: OutcomeName
) -> None:
    lost = _retried("lost", TEN, outcome=outcome)
    others = [_retried(f"ev-{n}", HALF_PAST + n, outcome=outcome) for n in range(1_500)]
    elsewhere = _retried("ev-e", TEN, outcome=outcome, integration="travel")
    delivered = [one._replace(outcome="delivered", due_at=None, at=one.at + 1) for one in others]
    _take(ledger, [lost, elsewhere, *others, *delivered])
    found = _find(ledger, outcome, since=TEN)
    assert ([one.event for one in found.stories], found.more) == (["lost"], False)
    assert not _find(ledger, outcome, since=TEN + 1).stories
    assert not _find(ledger, outcome, until=TEN).stories


def test_of_more_that_wait_than_one_answer_holds_the_latest_are_told(ledger: LedgerFile) -> None:
    _take(ledger, [_retried(f"ev-{n}", TEN + n) for n in range(MOST_LIVES + 2)])
    found = _find(ledger, "retried")
    assert (len(found.stories), found.more) == (MOST_LIVES, True)
    assert (found.stories[0].event, found.stories[-1].event) == ("ev-2", f"ev-{MOST_LIVES + 1}")


def test_a_dead_letter_is_found_behind_many_that_were_replayed(ledger: LedgerFile) -> None:
    dead = {"outcome": "dead", "reason": "adobe-rejected", "due_at": None}
    letters = [_retried(f"ev-{n}", HALF_PAST + n, **dead) for n in range(1_500)]
    delivered = [one._replace(outcome="delivered", at=NOON) for one in letters]
    _take(ledger, [_retried("left", TEN, **dead), *letters, *delivered])
    found = _find(ledger, "dead")
    assert ([one.event for one in found.stories], found.more) == (["left"], False)


@pytest.mark.parametrize("is_replayed", [True, False])
def test_what_died_is_found_after_its_letter_was_replayed_or_discarded(
    ledger: LedgerFile, *, is_replayed: bool
) -> None:
    """Its life stays dead, and who looks for it is not told that it never was."""
    dead = receipt("ev-1", at=TEN, outcome="dead", reason="adobe-rejected")
    _take(ledger, [dead])
    if is_replayed:
        _take(ledger, [dead._replace(delivery=1, outcome="delivered", at=NOON)])
    else:
        act = Act("a" * 16, "discarded", "part", "", "operator", NOON)
        act = act._replace(lives=(key_of_life(dead).hex(),))
        ledger.take(MadeWorker("console:1").chain.message("trail", [encode_act(act)], NOON))
    (story,) = _find(ledger, "dead", since=TEN).stories
    assert (story.event, story.outcome, story.at) == ("ev-1", "dead", TEN)


def test_a_skipped_event_is_found_behind_many_copies_of_delivered_ones(ledger: LedgerFile) -> None:
    skip = {"outcome": "skipped", "due_at": None}
    delivered = [receipt(f"ev-{n}", at=HALF_PAST) for n in range(2_500)]
    copies = [one._replace(outcome="skipped", reason="duplicate", at=NOON) for one in delivered]
    _take(ledger, [_retried("guest", TEN, reason="guest", **skip), *delivered, *copies])
    found = _find(ledger, "skipped")
    assert ([one.event for one in found.stories], found.more) == (["guest"], False)


def test_what_is_rare_is_looked_for_among_so_many_of_the_latest_receipts(
    ledger: LedgerFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stories, "MOST_PASSED_OVER", 100)
    guest = receipt("guest", at=TEN, outcome="skipped", reason="guest")
    _take(ledger, [guest, *[receipt(f"ev-{n}", at=HALF_PAST + n) for n in range(100)]])
    found = _find(ledger, "skipped")
    assert (len(found.stories), found.more) == (0, True), "and not that there is none"
    found = _find(ledger, "skipped", until=HALF_PAST + 99)
    assert ([one.event for one in found.stories], found.more) == (["guest"], False)


def test_what_was_decided_later_hides_nothing_of_before(ledger: LedgerFile) -> None:
    late = [_retried(f"ev-{n}", HALF_PAST + n) for n in range(1_500)]
    ends = [one._replace(outcome="delivered", due_at=None, at=NOON) for one in late]
    _take(ledger, [receipt("early", at=TEN), *late, *ends])
    found = _find(ledger, None, until=NOON)
    assert ([one.event for one in found.stories], found.more) == (["early"], False)


def test_who_looked_at_a_part_does_not_say_that_there_is_no_receipt(
    ledger: LedgerFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    delivered = [receipt(f"ev-{n}", at=HALF_PAST) for n in range(MOST_LOOKED_AT + 1)]
    copies = [one._replace(outcome="skipped", reason="duplicate", at=NOON) for one in delivered]
    guest = receipt("guest", at=TEN, outcome="skipped", reason="guest", choice=CHOICES[0])
    _take(ledger, [guest, *delivered, *copies])
    found = _find(ledger, "skipped")
    assert (len(found.stories), found.more) == (0, True)
    cli = CommandLine(tmp_path, monkeypatch, capsys)
    cli.set("LEDGER_URL", f"sqlite://{tmp_path}/ledger.sqlite")
    ran = cli.run("receipts", "find", "--integration", "shop", "--outcome", "skipped")
    assert ran.code == 1
    assert "no receipt of it" not in ran.out
    assert "none was found among the latest receipts" in ran.err
    ran = cli.run("receipts", "find", "--integration", "nobody")
    assert (ran.code, "no receipt of it is in the ledger" in ran.out) == (1, True)

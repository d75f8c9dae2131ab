"""Withdrawals that wait or were given up are known by the tries that told what they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from devtools.made_receipts import MadeWorker, made_now_ms, receipt
from tests.unit.ledger.ledger_file import ledger_file
from worker.evidence.receipt import Receipt
from worker.ledger import open_withdrawals as module
from worker.ledger.open_withdrawals import AllOpenWithdrawals, OpenWithdrawals, open_withdrawals

NOW = made_now_ms()
MADE_AT = NOW - 600_000


def _tried(event: str, choice: str = "withdrawn", **changes: Any) -> Receipt:
    usual = {"outcome": "retried", "reason": "timeout", "at": MADE_AT + 1_000, "due_at": NOW}
    return receipt(event, **(usual | {"choice": choice, "event_at": MADE_AT} | changes))


def _untried(event: str, **changes: Any) -> Receipt:
    """As workers write what they have not tried: without choice and attributes."""
    usual = {"outcome": "parked", "at": MADE_AT + 9_000, "due_at": NOW, "choice": None}
    return receipt(event, **(usual | {"attributes": {}, "event_at": MADE_AT} | changes))


def _open(path: Path, receipts: Sequence[Receipt]) -> AllOpenWithdrawals:
    with ledger_file(path) as ledger:
        ledger.take(MadeWorker().receipts(receipts))
        with ledger.transaction() as connection:
            return open_withdrawals(connection)


def test_they_are_those_that_wait_and_those_given_up(tmp_path: Path) -> None:
    found = _open(
        tmp_path,
        [
            _tried("ev-1", integration="travel"),
            _tried("ev-2", integration="travel", choice="given", event_at=MADE_AT - 1),
            _tried("ev-3", outcome="dead", reason="adobe-rejected", due_at=None),
            _tried("ev-4", outcome="dead", reason="adobe-rejected", due_at=None, choice="given"),
            receipt("ev-5", choice="withdrawn"),
        ],
    )
    assert found == AllOpenWithdrawals(
        {"travel": OpenWithdrawals(1, MADE_AT, 0), "shop": OpenWithdrawals(0, None, 1)},
        is_part=False,
    )
    assert (found.oldest, found.given_up) == (("travel", MADE_AT), 1)


@pytest.mark.parametrize("reason", ["lane-full", "paused", "stopping", "in-doubt"])
def test_one_that_came_back_and_was_parked_still_waits(tmp_path: Path, reason: str) -> None:
    back = [_untried("ev-1", reason=reason, at=MADE_AT + 9_000 + n) for n in range(3)]
    found = _open(tmp_path, [_tried("ev-1"), *back])
    assert found.oldest == ("shop", MADE_AT)
    assert found.by_integration == {"shop": OpenWithdrawals(1, MADE_AT, 0)}


def test_one_that_died_when_it_came_back_was_given_up(tmp_path: Path) -> None:
    dead = _untried("ev-1", outcome="dead", reason="expired", due_at=None)
    assert _open(tmp_path, [_tried("ev-1"), dead]).given_up == 1


def test_the_latest_try_says_what_it_is(tmp_path: Path) -> None:
    tries = [_tried("ev-1"), _tried("ev-1", choice="given", at=MADE_AT + 5_000)]
    found = _open(tmp_path, [*tries, _untried("ev-1", reason="paused")])
    assert found.by_integration == {"shop": OpenWithdrawals()}


def test_of_what_was_never_tried_it_is_said_that_nobody_knows(tmp_path: Path) -> None:
    never = [_untried(f"ev-{n}", reason="lane-full") for n in range(3)]
    found = _open(tmp_path, [_tried("ev-9"), *never])
    assert found.by_integration == {"shop": OpenWithdrawals(1, MADE_AT, 0, unread=3)}
    assert (found.unread, found.is_part) == (3, False)


def test_of_what_died_untried_it_is_said_that_nobody_knows(tmp_path: Path) -> None:
    dead: dict[str, Any] = {"outcome": "dead", "reason": "poison", "due_at": None}
    never = [_untried(f"ev-{n}", **dead) for n in range(3)]
    found = _open(tmp_path, [_tried("ev-9", **dead), *never])
    assert found.by_integration == {"shop": OpenWithdrawals(given_up=1, unread_dead=3)}
    assert (found.unread, found.unread_dead) == (0, 3)


def test_what_is_too_far_back_is_not_called_no_withdrawal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_LOOKED_BACK", 2)
    back = [_untried("ev-1", reason="lane-full", at=MADE_AT + 9_000 + n) for n in range(3)]
    found = _open(tmp_path, [_tried("ev-1"), *back])
    assert found.by_integration == {"shop": OpenWithdrawals(unread=1)}

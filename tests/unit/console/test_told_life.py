"""The life of a choice as a page tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devtools.made_receipts import MadeWorker, receipt
from tests.unit.ledger.ledger_file import ledger_file
from worker.console.told_life import ToldLife, tell_life
from worker.evidence.receipt import Receipt
from worker.ledger.stored_receipts import key_of_life
from worker.ledger.stories import find_life

AT = 1_764_000_000_000


def _step(seconds: float, outcome: str = "retried", **changes: Any) -> Receipt:
    at = AT + int(seconds * 1000)
    usual: dict[str, Any] = {"outcome": outcome, "event_at": AT, "at": at, "xaction": None}
    if outcome == "retried":
        usual |= {"reason": "adobe-unavailable", "status": 503, "due_at": at + 5000}
    return receipt("ev-1", **(usual | changes))


def _told(tmp_path: Path, *receipts: Receipt, now: float = 400) -> ToldLife:
    with ledger_file(tmp_path) as ledger:
        ledger.take(MadeWorker().receipts(receipts))
        with ledger.transaction() as connection:
            story = find_life(connection, key_of_life(receipts[0]))
            assert story is not None
            return tell_life(story, AT + int(now * 1000))


def test_tries_that_say_the_same_are_one_step(tmp_path: Path) -> None:
    tries = [_step(10 * n, attempt=n) for n in range(1, 7)]
    dead = _step(290, "dead", reason="retries-exhausted", status=503, attempt=7)
    life = _told(tmp_path, *tries, dead)
    assert [one.head for one in life.steps] == ["Tries 1 to 6 failed", "Given up: a dead letter"]
    assert life.sentence == "Not honoured: given up after 7 tries."
    assert life.state == "dead"
    assert "Five or more retries failed" in life.because
    assert (life.steps[1].after_ms, life.steps[1].follows_several) == (230_000, True)
    assert (life.steps[0].todo, "replay" in life.steps[1].todo) == ("", True)
    assert life.took_ms == 290_000
    assert sum(one.kind == "try" for one in life.ruler) == 7
    assert all(0 <= one.start <= 100 and one.start + one.length <= 100.001 for one in life.ruler)


@pytest.mark.parametrize(
    ("receipts", "sentence", "heads"),
    [
        (
            [_step(1.2, "delivered", status=200)],
            "Adobe has accepted it, 1.2\u00a0s after it was made.",
            ["Delivered"],
        ),
        (
            [_step(1, attempt=1), _step(7, attempt=2, reason="timeout", status=None)],
            "On its way: 2 tries so far, and it comes back by itself.",
            ["Try 1 failed, to be retried", "Try 2 failed, to be retried"],
        ),
        (
            [
                *(_step(n, "parked", reason="busy", attempt=0, due_at=AT) for n in (1, 2, 3)),
                _step(9, "skipped", reason="superseded", attempt=0),
            ],
            "Skipped: nothing was to be sent.",
            ["Parked 3 times", "Skipped"],
        ),
        (
            [_step(3, "dead", reason="no-identity", attempt=0, event_at=None)],
            "Not honoured: given up.",
            ["Given up: a dead letter"],
        ),
    ],
)
def test_a_life_is_told_in_a_sentence(
    tmp_path: Path, receipts: list[Receipt], sentence: str, heads: list[str]
) -> None:
    life = _told(tmp_path, *receipts)
    assert life.sentence == sentence
    assert [one.head for one in life.steps] == heads


@pytest.mark.parametrize(
    ("integration", "told"),
    [
        ("shop", "Held until the file of its integration is there and valid, for a day at most;"),
        ("", "Held until it is clear whose it is: files must be readable, for a day at most, or "
             "Redis be back, however long that takes;"),
    ],
)  # fmt: skip
def test_what_is_in_doubt_waits_for_a_file_or_for_the_memory_of_the_fleet(
    tmp_path: Path, integration: str, told: str
) -> None:
    parked = _step(
        1, "parked", reason="in-doubt", attempt=0, due_at=AT + 9_000, integration=integration
    )
    life = _told(tmp_path, parked, now=2)
    assert life.sentence == f"{told} not tried yet."
    assert "`consent-worker integrations validate`" in life.steps[-1].todo
    assert "Redis" in life.steps[-1].todo


def test_what_a_worker_that_stops_has_given_back_needs_nobody(tmp_path: Path) -> None:
    life = _told(tmp_path, _step(1, "parked", reason="stopping", attempt=0, due_at=AT + 9_000))
    assert life.sentence == "On its way: not tried yet, and it comes back by itself."
    assert life.because == "The worker that had it stops."
    assert life.steps[-1].todo == "Nothing: it comes back within seconds, to a worker that runs."


def test_a_clock_that_is_off_leaves_the_ruler_whole(tmp_path: Path) -> None:
    life = _told(tmp_path, _step(-5), _step(9, "delivered", status=200))
    assert all(0 <= one.start <= 100 for one in life.ruler)
    assert _told_before(tmp_path).ruler == []


def _told_before(tmp_path: Path) -> ToldLife:
    path = tmp_path / "other"
    path.mkdir()
    return _told(path, _step(-5, "delivered", status=200))

"""What receipts know of dead letters: the choice, and what a replay would come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devtools.made_receipts import MadeWorker, receipt
from tests.unit.ledger.ledger_file import ledger_file
from worker.evidence.receipt import Receipt
from worker.ledger.replay_prospects import letter_lives, outcomes_of
from worker.ledger.stored_receipts import key_of_life

ANNA, BEN = (f"202611:{one * 32}" for one in "ab")
AT = 1_764_000_000_000


def _dead(event: str = "ev-1", **changes: Any) -> Receipt:
    usual = {"outcome": "dead", "reason": "adobe-rejected", "user": ANNA, "at": AT, "event_at": AT}
    return receipt(event, **(usual | changes))


def _delivered(event: str = "ev-2", **changes: Any) -> Receipt:
    return receipt(event, **({"user": ANNA, "at": AT + 9, "event_at": AT + 5} | changes))


@pytest.mark.parametrize(
    ("others", "prospect"),
    [
        ((), "sent"),
        ((_delivered(),), "superseded"),
        ((_delivered(event_at=AT - 5),), "sent"),
        ((_delivered(event_at=AT),), "sent"),
        ((_delivered(user=BEN),), "sent"),
        ((_delivered(integration="press"),), "sent"),
        ((_delivered(attributes={"_acme.else": True}),), "sent"),
        ((_delivered(outcome="skipped", reason="guest"),), "sent"),
        ((_delivered("ev-1", delivery=1, event_at=AT),), "duplicate"),
        # The life was delivered, and a copy of it skipped after that.
        (
            (_delivered(), _delivered(outcome="skipped", reason="duplicate", at=AT + 20)),
            "superseded",
        ),
    ],
)
def test_a_replay_is_judged_by_what_was_delivered_of_the_same_person(
    tmp_path: Path, others: tuple[Receipt, ...], prospect: str
) -> None:
    letter = _dead(choice="withdrawn")
    with ledger_file(tmp_path) as ledger:
        ledger.take(MadeWorker().receipts([letter, *others]))
        with ledger.transaction() as connection:
            told = letter_lives(connection, [key_of_life(letter)])[key_of_life(letter)]
    assert (told.prospect, told.choice, told.outcome, told.user) == (
        prospect,
        "withdrawn",
        "dead",
        ANNA,
    )


def test_all_paths_must_have_something_newer(tmp_path: Path) -> None:
    letter = _dead(attributes={"_acme.a": False, "_acme.b": None})
    halves = [_delivered(f"ev-{path}", attributes={path: True}) for path in ("_acme.a", "_acme.b")]
    with ledger_file(tmp_path) as ledger:
        worker = MadeWorker()
        for half, prospect in zip(halves, ("sent", "superseded"), strict=True):
            ledger.take(worker.receipts([letter, half]))
            with ledger.transaction() as connection:
                (told,) = letter_lives(connection, [key_of_life(letter)]).values()
            assert told.prospect == prospect


@pytest.mark.parametrize("changes", [{"user": None}, {"event_at": None}])
def test_without_a_person_or_a_time_nothing_is_known(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    letter = _dead(**changes)
    with ledger_file(tmp_path) as ledger:
        ledger.take(MadeWorker().receipts([letter, _delivered()]))
        with ledger.transaction() as connection:
            (told,) = letter_lives(connection, [key_of_life(letter)]).values()
            assert letter_lives(connection, [b"0" * 16]) == {}
    assert told.prospect == "unknown"


def test_the_fate_of_a_replay_is_that_of_its_new_life(tmp_path: Path) -> None:
    replayed = _dead()._replace(delivery=1, outcome="retried", reason="timeout", due_at=AT + 50)
    key = key_of_life(replayed)
    worker = MadeWorker()
    with ledger_file(tmp_path) as ledger:
        ledger.take(worker.receipts([_dead()]))
        for receipt, fate in (
            (None, None),
            (replayed, ("retried", "")),
            (replayed._replace(outcome="skipped", reason="superseded"), ("skipped", "superseded")),
        ):
            if receipt is not None:
                ledger.take(worker.receipts([receipt]))
            with ledger.transaction() as connection:
                assert outcomes_of(connection, [key]).get(key) == fate


def test_what_an_earlier_receipt_says_of_the_choice_counts(tmp_path: Path) -> None:
    last = _dead(choice=None, at=AT + 90)
    tries = [
        _dead(outcome="retried", choice=choice, at=AT + n, due_at=AT)
        for n, choice in enumerate(("given", "withdrawn", None, None))
    ]
    with ledger_file(tmp_path) as ledger:
        ledger.take(MadeWorker().receipts([*tries, last]))
        with ledger.transaction() as connection:
            (told,) = letter_lives(connection, [key_of_life(last)]).values()
    assert told.choice == "withdrawn"

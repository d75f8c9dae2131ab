"""What a receipt makes of a life, in whatever order the receipts come."""

from __future__ import annotations

from itertools import permutations

import pytest

from worker.evidence.receipt import OutcomeName
from worker.ledger.life import Life, merged
from worker.ledger.packing import OUTCOMES


def _life(outcome: OutcomeName, at: int, number: int = 1) -> Life:
    waits = outcome in ("retried", "parked")
    return Life(
        integration_id=1,
        user=None,
        outcome=OUTCOMES.index(outcome),
        reason_id=at,
        at=at,
        due_at=at + 5 if waits else None,
        group_id=None,
        last_id=number,
    )


@pytest.mark.parametrize(
    ("steps", "end"),
    [
        ((("delivered", 1),), "delivered"),
        ((("retried", 1), ("delivered", 2)), "delivered"),
        ((("retried", 9), ("delivered", 2)), "delivered"),
        ((("delivered", 1), ("skipped", 2)), "delivered"),
        ((("delivered", 1), ("parked", 2), ("skipped", 3)), "delivered"),
        ((("skipped", 1), ("dead", 2)), "dead"),
        ((("dead", 1), ("skipped", 2)), "skipped"),
        ((("received", 9), ("parked", 1)), "parked"),
        ((("parked", 1), ("retried", 2), ("retried", 3)), "retried"),
        ((("received", 1),), "received"),
    ],
)
def test_the_order_of_receipts_does_not_matter(
    steps: tuple[tuple[OutcomeName, int], ...], end: str
) -> None:
    for order in permutations(steps):
        life = None
        for number, (outcome, at) in enumerate(order):
            life = merged(life, _life(outcome, at, number))
        assert life is not None
        assert OUTCOMES[life.outcome] == end, order
        assert life.last_id == len(steps) - 1
        assert (life.due_at is not None) == (end in ("retried", "parked"))


def test_of_two_that_wait_the_later_one_counts() -> None:
    life = merged(_life("retried", 7), _life("parked", 3))
    assert (OUTCOMES[life.outcome], life.due_at) == ("retried", 12)


def test_whose_it_is_stays_known() -> None:
    known = _life("retried", 1)._replace(user=b"12345678")
    assert merged(known, _life("delivered", 2)).user == b"12345678"
    assert merged(_life("delivered", 2), known).user == b"12345678"

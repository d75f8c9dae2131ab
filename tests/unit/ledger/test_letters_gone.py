"""A letter that was replayed or discarded is in no group of dead letters any more."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from devtools.made_receipts import MadeWorker, made_now_ms, receipt
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file
from worker.evidence.act import Act, encode_act
from worker.evidence.receipt import Receipt
from worker.ledger.letter_group_list import letter_groups
from worker.ledger.schema import BALANCES
from worker.ledger.stored_receipts import key_of_life

DEAD = receipt("ev-1", outcome="dead", reason="adobe-rejected")
OTHER = receipt("ev-2", outcome="dead", reason="adobe-rejected")
PARKED = DEAD._replace(outcome="parked", reason="busy", delivery=1, due_at=1)
AGAIN = DEAD._replace(delivery=1)


def _letters(ledger: LedgerFile) -> int:
    with ledger.transaction() as connection:
        return sum(one.letters for one in letter_groups(connection))


@pytest.mark.parametrize("order", list(permutations([DEAD, OTHER, PARKED])))
@pytest.mark.parametrize("is_together", [True, False])
def test_a_replay_is_known_by_its_next_life_in_whatever_order(
    tmp_path: Path, order: tuple[Receipt, ...], is_together: bool
) -> None:
    worker = MadeWorker()
    with ledger_file(tmp_path) as ledger:
        for some in [order] if is_together else [[one] for one in order]:
            ledger.take(worker.receipts(some))
        assert _letters(ledger) == 1, "the other one is left"
        ledger.take(worker.receipts([AGAIN]))
        assert _letters(ledger) == 2, "it died again, and is one letter"
        assert sum(row.lives for row in ledger.rows(BALANCES) if row.lives) == 3


def test_a_discard_is_known_by_the_act(tmp_path: Path) -> None:
    act = Act("a" * 16, "discarded", "part", "", "operator", made_now_ms())
    act = act._replace(lives=(key_of_life(DEAD).hex(), "0" * 32))
    chain = MadeWorker("console:1").chain
    bodies = [chain.message("begin", [], 1), chain.message("trail", [encode_act(act)], 1)]
    with ledger_file(tmp_path) as ledger:
        ledger.take(MadeWorker().receipts([DEAD, OTHER]), *bodies)
        assert _letters(ledger) == 1

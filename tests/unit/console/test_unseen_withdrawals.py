"""Of more events than are looked at no page says that there is no withdrawal among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from devtools.made_receipts import made_now_ms, receipt
from tests.unit.console.console_parts import (
    fill,
    lane,
    running_console,
    usual_receipts,
    waiting_withdrawal,
    write_integration,
)
from tests.unit.console.test_pages import dead, words_of
from tests.unit.ledger.ledger_file import LedgerFile
from worker.console import unseen_withdrawals
from worker.evidence.receipt import Receipt
from worker.ledger import open_withdrawals

_BOUND = 5
MUSEUM = "museum"


@pytest.fixture(autouse=True)
def _few_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (open_withdrawals, unseen_withdrawals):
        monkeypatch.setattr(module, "MOST_LOOKED_AT", _BOUND)


def _waiting_yes(count: int, integration: str = "shop") -> list[Receipt]:
    """They are due before the withdrawal of travel, and so are looked at before it."""
    return [
        receipt(
            integration=integration,
            outcome="parked",
            reason="lane-full",
            choice="given",
            due_at=made_now_ms() + 10_000,
            status=None,
            xaction=None,
        )
        for _ in range(count)
    ]


async def _pages(home: Path, ledger: LedgerFile, some: list[Receipt]) -> dict[str, str]:
    names = ("shop", "travel", MUSEUM)
    for name in names:
        write_integration(home, name)
    lanes = [lane(name, state="well", error="", words="") for name in names]
    fill(ledger, [*usual_receipts(3), *some], lanes=lanes)
    async with running_console(home) as console:
        await console.sign_in()
        ways = ("/", "/integrations", *(f"/integrations/{name}" for name in names))
        return {way: words_of((await console.get(way)).text) for way in ways}


async def test_a_withdrawal_that_was_not_looked_at_is_not_denied(
    tmp_path: Path, ledger: LedgerFile
) -> None:
    hidden = waiting_withdrawal("lane-full", 1_329_000)
    pages = await _pages(tmp_path, ledger, [*_waiting_yes(_BOUND), hidden])
    assert "Oldest unhonoured withdrawal \u2013 none among the 5 events looked at" in pages["/"]
    assert "More events wait than are looked at" in pages["/integrations"]
    assert "not known" in pages["/integrations"]
    for name in ("shop", "travel"):
        page = pages[f"/integrations/{name}"]
        assert "Oldest unhonoured withdrawal \u2013 none among the 5 events of the fleet" in page
        assert "none waits" not in page
    assert "Oldest unhonoured withdrawal 0 none waits" in pages["/integrations/museum"]


async def test_of_withdrawals_that_were_seen_there_may_be_older_ones(
    tmp_path: Path, ledger: LedgerFile
) -> None:
    seen = waiting_withdrawal("lane-full", 1_329_000)._replace(due_at=made_now_ms() + 1_000)
    pages = await _pages(tmp_path, ledger, [seen, *_waiting_yes(_BOUND, "travel")])
    assert "travel, waiting for its turn ; older ones are possible" in pages["/"]
    assert "at least 1 withdrawal waits; older ones are possible" in pages["/integrations/travel"]
    assert "22 min 9 s or more" in pages["/integrations"]


async def test_with_no_more_events_than_are_looked_at_the_page_is_sure(
    tmp_path: Path, ledger: LedgerFile
) -> None:
    pages = await _pages(tmp_path, ledger, _waiting_yes(_BOUND - 1))
    assert "Oldest unhonoured withdrawal 0 none waits" in pages["/"]
    assert "not known" not in pages["/integrations"]


async def test_of_what_no_try_has_told_the_page_says_how_many_there_are(
    tmp_path: Path, ledger: LedgerFile
) -> None:
    """Parked before a first try, as at a paused integration."""
    untold = [one._replace(choice=None, attributes={}) for one in _waiting_yes(2)]
    pages = await _pages(tmp_path, ledger, untold)
    said = "\u2013 none is known; of 2 events that wait no try has told the choice yet"
    for way in ("/", "/integrations/shop"):
        assert f"Oldest unhonoured withdrawal {said}" in pages[way]
    assert "Oldest unhonoured withdrawal 0 none waits" in pages["/integrations/museum"]


@pytest.mark.parametrize(
    ("given_up", "sentence", "figure"),
    [
        (0, "The choice of some is not known", "\u2013 none is known"),
        (2, "At least 2 withdrawals were given up", "2 at least these"),
    ],
)
async def test_of_dead_letters_whose_choice_no_try_has_told_the_page_says_how_many_there_are(
    tmp_path: Path, ledger: LedgerFile, given_up: int, sentence: str, figure: str
) -> None:
    """Of what died before its first try, no receipt says whether it withdraws."""
    untold = dead(3, reason="poison", choice=None, attributes={}, status=None)
    pages = await _pages(tmp_path, ledger, [*untold, *dead(given_up)])
    letters = "; of 3 dead letters no try has told the choice"
    assert sentence in pages["/"]
    assert f"Withdrawals given up {figure}" in pages["/"]
    assert letters in pages["/"]
    assert "no dead letter withdraws" not in pages["/"]
    assert f"at least {given_up} of them withdrawals{letters}" in pages["/integrations/shop"]


async def test_of_more_dead_letters_than_are_looked_at_the_withdrawals_are_the_least(
    tmp_path: Path, ledger: LedgerFile
) -> None:
    pages = await _pages(tmp_path, ledger, dead(_BOUND + 2))
    least = "At least 5 withdrawals were given up: see which are still needed."
    for way in ("/", "/integrations"):
        assert pages[way].startswith(f" {least}")
    assert "Withdrawals given up 5 at least these; only 5 dead letters were looked at" in pages["/"]
    assert "at least 5 of them withdrawals" in pages["/integrations/shop"]


async def test_among_dead_letters_that_were_not_looked_at_withdrawals_are_possible(
    tmp_path: Path, ledger: LedgerFile
) -> None:
    pages = await _pages(tmp_path, ledger, dead(_BOUND + 2, choice="given"))
    assert pages["/"].startswith(
        " Nothing is urgent; 7 events lie dead. The choice of some is not known, so withdrawals may"
    )
    assert "Withdrawals given up \u2013 none among those looked at" in pages["/"]

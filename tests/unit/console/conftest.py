"""A ledger, and a console over it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.unit.console.console_parts import (
    RunningConsole,
    fill,
    running_console,
    usual_receipts,
    write_integration,
)
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[LedgerFile]:
    """A real one in a file, empty."""
    with ledger_file(tmp_path) as made:
        yield made


@pytest.fixture
async def console(tmp_path: Path, ledger: LedgerFile) -> AsyncIterator[RunningConsole]:
    """One whose fleet does well; nobody is signed in."""
    write_integration(tmp_path, "shop")
    fill(ledger, usual_receipts())
    async with running_console(tmp_path) as running:
        yield running

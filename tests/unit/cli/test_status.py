"""What `status` says of a fleet whose ledger is in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from devtools.made_receipts import made_now_ms, receipt
from tests.unit.cli.conftest import CommandLine
from tests.unit.console.console_parts import fill, lane
from tests.unit.ledger.ledger_file import ledger_file


def test_events_that_wait_for_what_no_worker_tells_of_have_a_line(
    tmp_path: Path, cli: CommandLine
) -> None:
    due: dict[str, Any] = {"due_at": made_now_ms() + 60_000, "status": None, "xaction": None}
    waits = [
        receipt(integration=one, outcome="parked", reason="in-doubt", **due)
        for one in ("travel", "travel", "shop")
    ]
    with ledger_file(tmp_path) as ledger:
        fill(ledger, [receipt(), *waits], lanes=[lane()])
    cli.set("LEDGER_URL", f"sqlite://{tmp_path}/ledger.sqlite")
    said = cli.run("status").out
    line = "integration travel: 2 events wait, and no live worker tells of it: is its file there?"
    assert line in said
    assert "integration shop: " not in said
    assert "integration shop is failing" in said
    assert "12 events in hand" in said
    assert cli.run("status", "--json").document["untold"] == {"travel": 2}

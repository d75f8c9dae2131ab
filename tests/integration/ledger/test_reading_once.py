"""`ledger --once`, as a timer runs it, does all that a ledger that goes on does."""

from __future__ import annotations

from pathlib import Path

from devtools.made_receipts import MadeWorker, made_now_ms, receipt
from tests.integration.ledger.ledger_parts import ledger_stack

DAY_MS = 86_400_000


async def test_what_is_older_than_its_retention_is_taken_out(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    old, new = MadeWorker("host:1"), MadeWorker("host:2")
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        stack.settings["RECEIPTS_RETENTION_DAYS"] = "1"
        await stack.publish([old.receipts([receipt(at=made_now_ms() - 2 * DAY_MS)])])
        await stack.publish([new.receipts([receipt()])])
        code, said = await stack.read_once()
        assert code == 0, said
        assert stack.receipts == 1

"""Whoever writes receipts is killed twenty times: nothing of it looks like a manipulation."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from devtools.receipts_read import records_of
from tests.unit.ledger.ledger_file import ledger_file
from worker.evidence.findings import FindingCode
from worker.evidence.heading import read_message
from worker.evidence.receipt import read_receipt
from worker.evidence.signing import Keyring
from worker.evidence.verification import SILENT_MS, Verification
from worker.ledger.schema import RECEIPTS

ROOT: Final = Path(__file__).parents[2]
SECRET: Final = "of-the-writers"
KILLS: Final = 20
_LATER_MS: Final = 1_800_000_000_000 + SILENT_MS + 1


@pytest.mark.timeout(180)
async def test_twenty_kills_are_no_manipulation_and_lose_nothing_that_was_confirmed(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    arguments = ("-m", "tests.integration.killed_writers", broker_url, namespace, SECRET)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments, str(KILLS)), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    out, _ = await process.communicate()
    confirmed = [json.loads(line) for line in out.splitlines()]
    assert len(confirmed) == KILLS
    assert all(confirmed)
    messages = await records_of(broker_url, namespace)
    verification = Verification(Keyring([SECRET.encode()]))
    written: Counter[str] = Counter()
    for one in messages:
        verification.see(one.offset, one.body)
        said = read_message(one.body)
        if said.heading.kind == "receipts":
            written.update(read_receipt(row).event for row in said.rows)
    found = verification.conclude(_LATER_MS)
    assert verification.chains == KILLS
    assert {one.code for one in found} == {FindingCode.ENDED_WITHOUT_END}
    assert len(found) == KILLS
    assert {f"ev-{one}" for each in confirmed for one in each} <= set(written)
    assert set(written.values()) == {1}
    with ledger_file(tmp_path) as ledger:
        assert ledger.take(*(one.body for one in messages)) == {}
        assert ledger.count(RECEIPTS) == len(written)

"""What `dead-letters list` tells of letters by the ledger alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from devtools.made_receipts import MadeWorker, receipt
from tests.unit.cli.conftest import CommandLine
from tests.unit.ledger.ledger_file import ledger_file
from worker.evidence.letter_cause import fingerprint_of_receipt
from worker.evidence.receipt import Receipt

OF_ADOBE = receipt(
    "ev-1", outcome="dead", reason="adobe-rejected", error="adobe-rejected", code="DCVS-1106-400"
)
OF_A_FIELD = receipt("ev-2", outcome="dead", reason="invalid-event", field="created_at")


@pytest.mark.parametrize("dead", [OF_ADOBE, OF_A_FIELD])
def test_a_letter_that_no_pass_has_seen_is_of_the_group_of_its_receipt(
    cli: CommandLine, tmp_path: Path, dead: Receipt
) -> None:
    with ledger_file(tmp_path) as ledger:
        ledger.take(MadeWorker().receipts([OF_ADOBE, OF_A_FIELD]))
        cli.set("LEDGER_URL", f"sqlite://{tmp_path}/ledger.sqlite")
    group = fingerprint_of_receipt(dead).group
    ran = cli.run("dead-letters", "list", "--from-ledger", "--group", group, "--json")
    assert ran.code == 0, ran.err
    (letter,) = ran.document["letters"]
    assert (letter["reason"], letter["group"]) == (dead.reason, group)
    assert ran.document["in_queue"] is None, "nobody can say"

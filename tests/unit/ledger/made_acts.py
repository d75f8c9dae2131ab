"""Acts in the stream as console and commands write them, made for tests."""

from __future__ import annotations

from typing import Any

from devtools.made_receipts import made_now_ms
from tests.unit.ledger.ledger_file import LedgerFile
from worker.evidence.act import Act, encode_act
from worker.evidence.chain import Chain


def made_act(number: int, **changes: Any) -> Act:
    """A discard of a shop's letters by a command, which has begun, with `changes`."""
    usual = Act(
        id=f"{number:016x}",
        name="discarded",
        stage="begun",
        who="night-shift",
        role="command",
        at=made_now_ms(),
        integration="shop",
        about="integration shop",
    )
    return usual._replace(**changes)


def put_on_record(ledger: LedgerFile, *acts: Act, secret: bytes = b"") -> str:
    """In one message with a chain of its own; the chain."""
    chain = Chain("console:7", secret)
    at = acts[0].at
    bodies = [chain.message("begin", [], at)]
    bodies.append(chain.message("trail", [encode_act(one) for one in acts], at))
    assert ledger.take(*bodies, chain.message("end", [], at)) == {}
    return chain.id

"""What may be wrong with the receipts' stream as a whole, and what is, as the ledger has noted it.

What may be wrong with a chain in it is in `worker.evidence.findings`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from worker.code_kinds import Code, Kind
from worker.evidence.findings import FindingCode
from worker.ledger.dictionary import texts_of
from worker.ledger.schema import CHAINS, FINDINGS

_MOST: Final = 1_000


class StreamFinding(Code):
    """What may be wrong with the stream, counted in the ledger beside the findings about chains."""

    TRUNCATED = (
        "truncated",
        Kind.OVERLOAD,
        "The stream no longer had some records when the ledger came to read them: its retention "
        "is shorter than the time for which the ledger was away.",
    )
    RECREATED = (
        "recreated",
        Kind.OPERATOR,
        "The stream was deleted and made anew, or lost its end. What the ledger had read stays.",
    )


AnyFinding = FindingCode | StreamFinding

SENTENCES: Final[dict[str, str]] = {
    **{one.value: one.sentence for one in FindingCode},
    **{one.value: one.sentence for one in StreamFinding},
}
"""By their codes, as they stand in the ledger."""

MANIPULATIONS: Final = frozenset(one.value for one in FindingCode if one.is_manipulation)
"""Those that no crash, loss of a connection or retention explains."""


class ToldFinding(NamedTuple):
    """What is wrong with the stream. `chain` is "" where it concerns none."""

    kind: str
    messages: int
    chain: str
    worker: str
    sequence: int | None
    found_at: int
    last_at: int

    @property
    def sentence(self) -> str:
        """What a finding means."""
        return SENTENCES.get(self.kind, "")


def told_findings(connection: Connection) -> list[ToldFinding]:
    """The findings of the ledger, the latest first."""
    query = (
        select(FINDINGS, CHAINS.c.chain, CHAINS.c.worker_id)
        .outerjoin(CHAINS, CHAINS.c.id == FINDINGS.c.chain_id)
        .order_by(FINDINGS.c.last_at.desc())
        .limit(_MOST)
    )
    rows = connection.execute(query).all()
    names = texts_of(connection, [row.worker_id for row in rows if row.worker_id is not None])
    return [
        ToldFinding(
            row.kind,
            row.messages,
            "" if row.chain is None else row.chain.hex(),
            names.get(row.worker_id, ""),
            row.sequence,
            row.found_at,
            row.last_at,
        )
        for row in rows
    ]

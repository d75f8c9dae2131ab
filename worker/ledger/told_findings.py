"""What is wrong with the stream, as the ledger has noted it."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from worker.ledger.dictionary import texts_of
from worker.ledger.findings import SENTENCES
from worker.ledger.schema import CHAINS, FINDINGS

_MOST: Final = 1_000


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
        """What it means."""
        return SENTENCES.get(self.kind, "")


def told_findings(connection: Connection) -> list[ToldFinding]:
    """The latest first."""
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

"""Where the receipts of a life stand in the chains, and whether anything is wrong there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from worker.ledger.dictionary import texts_of
from worker.ledger.schema import CHAINS, FINDINGS, MESSAGES
from worker.ledger.stored_receipts import StoredReceipt
from worker.ledger.stream_findings import MANIPULATIONS


class ChainPlace(NamedTuple):
    """The messages of one chain that have some of a life's receipts; `is_signed` by a secret, whose
    id is `key`. `findings` are what is wrong with the chain and no crash explains.
    """

    worker: str
    chain: str
    first: int
    last: int
    key: str
    findings: Sequence[str]


def life_places(connection: Connection, steps: Sequence[StoredReceipt]) -> list[ChainPlace]:
    """Where the steps of a life stand in the chains, in the order of the chains."""
    query = (
        select(CHAINS.c.id, CHAINS.c.chain, CHAINS.c.worker_id, CHAINS.c.key, MESSAGES.c.sequence)
        .join(MESSAGES, MESSAGES.c.chain_id == CHAINS.c.id)
        .where(MESSAGES.c.id.in_({one.message_id for one in steps}))
        .order_by(CHAINS.c.id, MESSAGES.c.sequence)
    )
    rows = connection.execute(query).all()
    workers = texts_of(connection, [row.worker_id for row in rows])
    wrong = _findings(connection, {row.id for row in rows})
    places: dict[int, ChainPlace] = {}
    for row in rows:
        first = places[row.id].first if row.id in places else row.sequence
        worker = workers.get(row.worker_id, "")
        places[row.id] = ChainPlace(
            worker, row.chain.hex(), first, row.sequence, row.key, wrong.get(row.id, ())
        )
    return list(places.values())


def _findings(connection: Connection, chains: set[int]) -> dict[int, list[str]]:
    query = select(FINDINGS.c.chain_id, FINDINGS.c.kind).where(
        FINDINGS.c.chain_id.in_(chains), FINDINGS.c.kind.in_(MANIPULATIONS)
    )
    found: dict[int, list[str]] = {}
    for chain_id, kind in connection.execute(query):
        found.setdefault(chain_id, []).append(kind)
    return found

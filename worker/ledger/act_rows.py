"""The rows that messages of the trail make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, func, select

from worker.evidence.act import read_act
from worker.evidence.bounded_json import Unreadable
from worker.ledger.database import insert_all
from worker.ledger.discarded_events import conclude_discarded
from worker.ledger.letters_gone import let_go
from worker.ledger.receipt_rows import without_nul
from worker.ledger.schema import ACTS

_STAGE: Final = 4
"""Its place in a row."""


def act_rows(rows: Sequence[bytes], message_id: int) -> tuple[list[tuple[Any, ...]], int]:
    """All but the numbers of rows of `acts`, and how many could not be read."""
    read: list[tuple[Any, ...]] = []
    for place, row in enumerate(rows):
        try:
            act = read_act(row)
        except Unreadable:
            continue
        texts = (act.id, act.name, act.stage, act.who, act.role, act.integration)
        read.append((message_id, place, *map(without_nul, texts), act.at, row))
    return read, len(rows) - len(read)


def write_acts(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write what `act_rows` made, in the order of the stream, once the receipts before are."""
    if rows:
        parts = [read_act(row[-1]) for row in rows if row[_STAGE] == "part"]
        conclude_discarded(connection, parts)
        let_go(connection, {bytes.fromhex(life) for part in parts for life in part.lives})
        first = (connection.execute(select(func.max(ACTS.c.id))).scalar() or 0) + 1
        insert_all(connection, ACTS, [(first + n, *row) for n, row in enumerate(rows)])

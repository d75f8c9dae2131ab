"""A ledger in a file of the test, fed without a broker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, func, select

from devtools.made_receipts import made_now_ms
from worker.broker.stream_consumer import Record
from worker.evidence.signing import Keyring
from worker.ledger.database import Database
from worker.ledger.migrations import upgrade
from worker.ledger.records import Start
from worker.ledger.records_into_tables import TakingIn


class LedgerFile:
    """Takes in bodies one after the other, at the offsets that follow."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.taking_in = TakingIn(database, Keyring())
        self.offset = 0

    def take(self, *bodies: bytes, now_ms: int | None = None) -> dict[str, int]:
        """What is found to be wrong with them, now or then (ms since 1970)."""
        records = [Record(self.offset + n, body) for n, body in enumerate(bodies)]
        self.offset += len(bodies)
        return self.taking_in.take(records, now_ms or made_now_ms())

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One of the database."""
        with self.database.transaction() as connection:
            yield connection

    def count(self, table: Table) -> int:
        """How many rows it has."""
        with self.transaction() as connection:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())

    def rows(self, table: Table) -> Sequence[Any]:
        """All of them."""
        with self.transaction() as connection:
            return connection.execute(select(table)).all()


@contextmanager
def ledger_file(path: Path) -> Iterator[LedgerFile]:
    """A new one below `path`."""
    database = Database(f"sqlite://{path}/ledger.sqlite", writes=True)
    try:
        upgrade(database)
        ledger = LedgerFile(database)
        ledger.taking_in.begin(Start(0, is_recreated=False), made_now_ms())
        yield ledger
    finally:
        database.close()

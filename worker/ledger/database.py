"""The ledger's database: opened for one writer or for readers, and written in bulk.

All else of this room names tables and statements of SQLAlchemy. What differs from one database to
the next stands here: how it is opened and locked, and how many rows are written at once.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from sqlalchemy import URL, Column, Connection, Engine, Table, create_engine, event, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import Dialect

from worker.ledger.file_kind import refuse_another_kind
from worker.ledger.trouble import LedgerInUse, LedgerTrouble, UnusableLedger, trouble_told

T = TypeVar("T")

_AT_ONCE: Final = 500
"""Values of one query; SQLite takes 32,766."""
_BUSY_SECONDS: Final = 10.0
_OWNER_ONLY: Final = 0o600
_PAGE_BYTES: Final = 1024
"""Keys come in no order, so most change a page of an index each, and whole pages are written."""
_CACHE_KIB: Final = 262_144
"""Pages of the tables' keys, which come in no order, for a ledger of some ten million receipts."""
_WAL_PAGES: Final = 262_144
"""256 MiB: pages that are written again and again go to the file once."""
_PREFIX: Final = "sqlite://"


class Database:
    """The ledger's database: `url` is `sqlite://` and an absolute path. A writer makes the file
    where it is missing, for its owner alone, or `anew` in any case. It is the only one: a second
    one raises `LedgerInUse`. Readers see what is committed. Where the file is locked it is waited
    for `busy_seconds`.
    """

    def __init__(
        self,
        url: str,
        *,
        writes: bool = False,
        anew: bool = False,
        busy_seconds: float = _BUSY_SECONDS,
    ) -> None:
        self.path = Path(url.removeprefix(_PREFIX))
        self._lock: int | None = None
        refuse_another_kind(self.path)
        if writes:
            self._prepare_file(anew=anew)
        elif not self.path.exists():
            raise UnusableLedger(
                f"there is no ledger {self.path.name}: let `consent-worker ledger` run, or check "
                "CONSENT_WORKER_LEDGER_URL"
            )
        self._engine = _engine(self.path, busy_seconds, writes=writes)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction of the ledger: the whole block is kept, or nothing. Raises
        `LedgerTrouble`.
        """
        with trouble_told(self.path.name), self._engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Let go of the ledger's file."""
        with suppress(LedgerTrouble), trouble_told(self.path.name):
            self._engine.dispose()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _prepare_file(self, *, anew: bool) -> None:
        try:
            lock = self.path.with_name(f"{self.path.name}.lock")
            self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNER_ONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if anew:
                self._remove()
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNER_ONLY))
        except BlockingIOError:
            self._let_go()
            raise LedgerInUse(
                f"another `consent-worker ledger` writes {self.path.name}; one is enough, and this "
                "one ends"
            ) from None
        except OSError as error:
            self._let_go()
            raise UnusableLedger(
                f"the ledger {self.path.name} can't be opened for writing: {error.strerror}; check "
                "CONSENT_WORKER_LEDGER_URL, and the rights on file and directory"
            ) from None

    def _remove(self) -> None:
        """The file, and what SQLite keeps beside it."""
        for end in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + end).unlink(missing_ok=True)

    def _let_go(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _engine(path: Path, busy_seconds: float, *, writes: bool) -> Engine:
    mode = "rw" if writes else "ro"
    url = URL.create(
        "sqlite", database=f"file:{quote(str(path))}", query={"mode": mode, "uri": "true"}
    )
    engine = create_engine(url, connect_args={"timeout": busy_seconds, "check_same_thread": False})
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"

    def opened(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # or Python's own module would begin transactions
        if writes:
            connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")  # of a file that is new
            connection.execute("PRAGMA journal_mode = WAL")
            # What a crash of the machine takes is read again, since the offset goes with it.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
            # What is blanked leaves no bytes in the file: not every build does so by itself.
            connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB if writes else 16_384}")

    event.listen(engine, "connect", opened)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def portions(values: Sequence[T], *, most: int = _AT_ONCE) -> Iterator[Sequence[T]]:
    """`values` in order, as many at once as one query of the ledger takes, or `most` if fewer."""
    for start in range(0, len(values), most):
        yield values[start : start + most]


def rows_with(
    connection: Connection, column: Column[Any], values: Sequence[Any]
) -> Iterator[Sequence[Any]]:
    """The rows of a table of the ledger with one of `values` in `column`, looked up in order."""
    for portion in portions(values):
        some = tuple(portion)
        if connection.dialect.name == "sqlite" and len(some) == _AT_ONCE:
            # To write this text anew each time takes longer than to look the values up.
            yield from connection.exec_driver_sql(_look_up(column), some)
        else:
            yield from connection.execute(select(column.table).where(column.in_(some)))


def highest_id(connection: Connection, table: Table) -> int:
    """The highest `id` of a table's rows, which are numbered from 1 on; 0 where there is none."""
    highest: int | None = connection.execute(select(func.max(table.c.id))).scalar()
    return highest or 0


@lru_cache(maxsize=16)
def _look_up(column: Column[Any]) -> str:
    marks = ", ".join("?" * _AT_ONCE)
    names = ", ".join(f'"{one.name}"' for one in column.table.columns)
    return f'SELECT {names} FROM "{column.table.name}" WHERE "{column.name}" IN ({marks})'  # noqa: S608 - names of ours


def insert_all(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows into the ledger, each with a value for every column of `table`, in order."""
    _write_all(connection, table, rows, replaces=False)


def put_all(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Put rows into the ledger as `insert_all` does; each replaces one with its primary key."""
    _write_all(connection, table, rows, replaces=True)


def _write_all(
    connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]], *, replaces: bool
) -> None:
    if not rows:
        return
    dialect = connection.dialect
    sql, order = _statement(table, dialect.name, replaces)
    if order is None:
        names = [column.name for column in table.columns]
        connection.exec_driver_sql(sql, [dict(zip(names, row, strict=True)) for row in rows])
    else:
        # SQLAlchemy's own way costs several times as much for each row.
        connection.exec_driver_sql(sql, list(rows))


@lru_cache(maxsize=64)
def _statement(table: Table, dialect_name: str, replaces: bool) -> tuple[str, list[str] | None]:
    """The text of a statement, and the order of its values; None where they go by name."""
    kind: Any = sqlite if dialect_name == "sqlite" else postgresql
    names = [column.name for column in table.columns]
    statement = kind.insert(table)
    if replaces:
        keys = [column.name for column in table.primary_key.columns]
        others = {name: statement.excluded[name] for name in names if name not in keys}
        statement = statement.on_conflict_do_update(index_elements=keys, set_=others)
    dialect: Dialect = kind.dialect()
    compiled = statement.compile(dialect=dialect, column_keys=names)
    return str(compiled), list(compiled.positiontup) if compiled.positional else None

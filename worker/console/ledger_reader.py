"""The ledger as the console reads it: at any time it may be away, locked, made anew or of another
version, and come back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy import Connection

from worker.ledger.database import Database
from worker.ledger.migrations import check_version
from worker.ledger.trouble import LedgerTrouble, UnusableLedger

_BUSY_SECONDS: Final = 2.0
"""A person waits for the page."""
_AGAIN_SECONDS: Final = 2.0
"""So long after a failure nothing is tried: each of a page's questions would wait for the same."""
_PREFIX: Final = "sqlite://"

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class LedgerReader:
    """Opens the ledger when it is asked for something, and again when the file is another one."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._path = Path(url.removeprefix(_PREFIX))
        self._opening = Lock()
        self._opened: tuple[tuple[int, int], Database] | None = None
        self._trouble: LedgerTrouble | UnusableLedger | None = None
        self._again_at = 0.0

    async def query(
        self,
        function: Callable[Concatenate[Connection, Arguments], Answer],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Answer:
        """What `function` says of one connection to the ledger, asked in a thread. Raises
        `LedgerTrouble` and `UnusableLedger`.
        """

        def ask() -> Answer:
            try:
                with self._database().transaction() as connection:
                    return function(connection, *arguments, **named)
            except (LedgerTrouble, UnusableLedger) as trouble:
                self.close()  # a newer program may have changed the tables: look at their version
                self._trouble, self._again_at = trouble, time.monotonic() + _AGAIN_SECONDS
                raise

        if self._trouble is not None and time.monotonic() < self._again_at:
            raise type(self._trouble)(str(self._trouble))
        return await asyncio.to_thread(ask)

    def forget(self) -> None:
        """Try the ledger again at once."""
        self._trouble = None

    def close(self) -> None:
        """Let go of the ledger's file."""
        with self._opening:
            self._let_go()

    def _database(self) -> Database:
        with self._opening:
            file = _file_at(self._path)
            if self._opened is not None and self._opened[0] != file:
                self._let_go()
            if self._opened is None:
                database = Database(self._url, busy_seconds=_BUSY_SECONDS)
                try:
                    check_version(database)
                except BaseException:
                    database.close()
                    raise
                self._opened = (file, database)
            return self._opened[1]

    def _let_go(self) -> None:
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None


def _file_at(path: Path) -> tuple[int, int]:
    """What tells a file from another one of its name; zeros where there is none."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino

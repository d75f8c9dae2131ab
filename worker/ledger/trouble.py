"""What may be wrong with the ledger's database, each as a sentence with what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError

from worker.errors import WorkFailed, WrongUse


class LedgerTrouble(WorkFailed):
    """The ledger can't be read or written now; nothing of it has changed."""


class UnusableLedger(WrongUse):
    """The ledger can't be used, and no waiting helps: a person must choose another file, version or
    setting.
    """


class LedgerInUse(UnusableLedger):
    """Another process writes to the ledger."""


_SENTENCES: Final = (
    ("SQLITE_BUSY", "another process keeps it locked; end that one, or try again"),
    ("SQLITE_LOCKED", "another process keeps it locked; end that one, or try again"),
    (
        "SQLITE_READONLY",
        "it is read-only; give this user the right to write file and directory",
    ),
    ("SQLITE_FULL", "the disk is full; make room, and the ledger goes on where it was"),
    (
        "SQLITE_IOERR",
        "the disk does not read or write (full, a limit of size, or broken); mend it, and the "
        "ledger goes on where it was",
    ),
    ("SQLITE_CANTOPEN", "it can't be opened; check the path, and the rights on its directory"),
    (
        "SQLITE_NOTADB",
        "it is no SQLite file; name another path, or make it anew by `ledger --rebuild`",
    ),
    ("SQLITE_CORRUPT", "it is damaged; make it anew by `consent-worker ledger --rebuild`"),
)


@contextmanager
def trouble_told(where: str) -> Iterator[None]:
    """Turns what the database raises in the block into a `LedgerTrouble` about `where`."""
    try:
        yield
    except DBAPIError as error:
        raise LedgerTrouble(f"the ledger {where}: {_sentence(error.orig)}") from None
    except sqlite3.Error as error:
        raise LedgerTrouble(f"the ledger {where}: {_sentence(error)}") from None


def _sentence(error: BaseException | None) -> str:
    name = str(getattr(error, "sqlite_errorname", ""))
    for start, sentence in _SENTENCES:
        if name.startswith(start):
            return sentence
    # A fault in a statement is ours, and its text may quote values.
    return f"the database refuses ({name or type(error).__name__})"

"""Whether a file may be a ledger: one that is something else is neither written nor removed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from worker.ledger.schema import METADATA
from worker.ledger.trouble import UnusableLedger

_OTHERWISE: Final = "name a file of its own in CONSENT_WORKER_LEDGER_URL"


def refuse_another_kind(path: Path) -> None:
    """Raises `UnusableLedger` for what is no regular file, or is the file of something else, such
    as the state of newest-wins. A file that is not there, empty or damaged may be a ledger.
    """
    if path.exists() and not path.is_file():
        raise UnusableLedger(f"the ledger {path.name} is no regular file; {_OTHERWISE}")
    if not path.exists() or not path.stat().st_size:
        return
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as file:
            (version,) = file.execute("PRAGMA user_version").fetchone()
            tables = {
                name
                for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type='table'")
            }
    except sqlite3.Error:
        return  # its trouble is told when it is opened
    if version or (tables and tables.isdisjoint(METADATA.tables)):
        raise UnusableLedger(
            f"{path.name} is no ledger: it is the state of newest-wins, or another program's file; "
            f"{_OTHERWISE}"
        )

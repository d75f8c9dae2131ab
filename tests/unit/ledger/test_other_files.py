"""A ledger and a state never get into one file, and what is no file is neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.ledger.database import Database
from worker.ledger.migrations import check_version, upgrade
from worker.ledger.trouble import UnusableLedger
from worker.ordering.sqlite_store import SqliteStore
from worker.ordering.store_protocol import Claim, StoreUnavailable, Timing

TIMING = Timing(60.0, 86_400.0)


async def _use(path: Path) -> None:
    """As a worker uses its state."""
    store = SqliteStore(path, TIMING)
    try:
        await store.begin("shop", [Claim("user-1", ["news"])])
    finally:
        await store.close()


async def test_a_state_is_not_taken_for_a_ledger_and_is_never_removed_for_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file.db"
    await _use(path)
    content = path.read_bytes()
    for options in ({"writes": True}, {"writes": True, "anew": True}, {}):
        with pytest.raises(UnusableLedger, match=r"file\.db is no ledger: it is the state"):
            Database(f"sqlite://{path}", **options)
    assert path.read_bytes() == content
    await _use(path)


async def test_a_ledger_is_not_taken_for_a_state(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    url = f"sqlite://{path}"
    ledger = Database(url, writes=True)
    upgrade(ledger)
    ledger.close()
    with pytest.raises(StoreUnavailable, match=r"file\.db: is no state: it is a ledger"):
        await _use(path)
    reader = Database(url)
    check_version(reader)
    reader.close()
    Database(url, writes=True, anew=True).close()


async def test_a_device_is_neither(tmp_path: Path) -> None:
    link = tmp_path / "null"
    link.symlink_to("/dev/null")
    with pytest.raises(UnusableLedger, match="null is no regular file"):
        Database(f"sqlite://{link}", writes=True)
    with pytest.raises(StoreUnavailable, match="null: is no regular file"):
        await _use(link)

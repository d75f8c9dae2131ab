"""A ledger that is away, locked, behind, made anew, broken or of another version; clocks that are
off. The pages stay, and say so.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from devtools.made_receipts import MadeWorker, made_now_ms, state
from tests.unit.console.console_parts import (
    RunningConsole,
    fill,
    running_console,
    usual_receipts,
)
from tests.unit.console.test_pages import words_of
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file
from worker.ledger.progress import say_alive

READING = ("/", "/integrations", "/integrations/shop", "/keys")


def _file(console: RunningConsole) -> Path:
    return Path(console.context.settings.ledger_url.get_secret_value().removeprefix("sqlite://"))


async def _is_told(console: RunningConsole, sentence: str) -> None:
    console.forget()
    page = await console.get("/")
    assert page.status == 200
    said = words_of(page.text)
    assert sentence in said
    assert "Delivery isn\u2019t touched by this" in said
    assert (await console.get("/keys")).status == 200
    assert (await console.get("/integrations")).status == 503
    assert sentence in words_of((await console.get("/integrations")).text)


async def test_a_ledger_that_was_never_there(tmp_path: Path) -> None:
    async with running_console(tmp_path) as console:
        await console.sign_in()
        await _is_told(console, "there is no ledger ledger.sqlite")
        with ledger_file(tmp_path) as ledger:
            fill(ledger, usual_receipts())
            console.forget()
            assert "All well." in words_of((await console.get("/")).text), "it has come"


async def test_no_integration_is_said_to_be_well_by_what_is_still_kept(
    console: RunningConsole, ledger: LedgerFile
) -> None:
    await console.sign_in()
    assert (await console.get("/integrations")).status == 200  # its counts are kept from now on
    ledger.database.close()
    for end in ("", "-wal", "-shm"):
        _file(console).with_name(f"ledger.sqlite{end}").unlink(missing_ok=True)
    console.forget()
    for path in ("/integrations", "/integrations/shop"):
        page = await console.get(path)
        assert page.status == 503
        assert "This can\u2019t be answered now" in words_of(page.text)


async def test_a_ledger_that_nobody_has_filled(tmp_path: Path, ledger: LedgerFile) -> None:
    async with running_console(tmp_path) as console:
        await console.sign_in()
        page = await console.get("/")
        assert "No receipt has been read yet." in words_of(page.text)
        assert "no worker" not in page.text
        assert "behind" not in page.text
        said = words_of((await console.get("/integrations")).text)
        assert said.startswith(" No integration is configured. The workers hold what comes")


async def test_a_file_that_is_no_ledger(console: RunningConsole, ledger: LedgerFile) -> None:
    await console.sign_in()
    ledger.database.close()
    for end in ("", "-wal", "-shm"):
        _file(console).with_name(f"ledger.sqlite{end}").unlink(missing_ok=True)
    _file(console).write_bytes(b"this is no database " * 200)
    await _is_told(console, "it is no SQLite file")


async def test_a_ledger_that_another_process_keeps_locked(
    console: RunningConsole, ledger: LedgerFile
) -> None:
    await console.sign_in()
    ledger.database.close()
    console.context.ledger.close()
    locking = sqlite3.connect(_file(console), isolation_level=None)
    try:
        locking.execute("PRAGMA journal_mode = DELETE")
        locking.execute("BEGIN EXCLUSIVE")
        await _is_told(console, "another process keeps it locked")
    finally:
        locking.close()
    console.forget()
    assert "All well." in words_of((await console.get("/")).text), "it is free again"


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE version SET version = 99", "is of a newer version (99"),
        ("DELETE FROM version; DROP TABLE version", "is empty or of an older version"),
        ("DROP TABLE balances", "the database refuses"),
    ],
)
async def test_a_ledger_of_another_version(
    console: RunningConsole, ledger: LedgerFile, statement: str, told: str
) -> None:
    await console.sign_in()
    console.context.ledger.close()
    with sqlite3.connect(_file(console)) as connection:
        connection.executescript(statement)
    await _is_told(console, told)


async def test_a_ledger_that_is_made_anew_is_read_anew(
    console: RunningConsole, ledger: LedgerFile, tmp_path: Path
) -> None:
    await console.sign_in()
    assert "delivered 20" in words_of((await console.get("/")).text)
    ledger.database.close()
    for end in ("", "-wal", "-shm"):
        _file(console).with_name(f"ledger.sqlite{end}").unlink(missing_ok=True)
    with ledger_file(tmp_path) as anew:
        fill(anew, usual_receipts(3))
        console.forget()
        assert "delivered 3" in words_of((await console.get("/")).text)


async def test_a_ledger_that_nobody_runs_is_told_with_its_age(console: RunningConsole) -> None:
    await console.sign_in()
    console.clock.moved_ms = 252_000
    console.forget()
    page = await console.get("/")
    said = words_of(page.text)
    assert "No ledger runs since 4 min 12 s." in said
    assert "What you see was true at 20" in said
    assert "consent-worker ledger" in said
    assert "delivered 20" in said, "what was known stays"


async def test_a_ledger_that_is_behind_is_told_with_its_lag(
    console: RunningConsole, ledger: LedgerFile
) -> None:
    await console.sign_in()
    with ledger.transaction() as connection:
        connection.exec_driver_sql("UPDATE progress SET written_at = read_at - 65000")
    console.forget()
    assert "The ledger is 1 min 5 s behind" in words_of((await console.get("/")).text)
    assert "Ledger 1" in (await console.get("/keys")).text


async def test_no_worker_is_the_worst(console: RunningConsole, ledger: LedgerFile) -> None:
    await console.sign_in()
    with ledger.transaction() as connection:
        say_alive(connection, made_now_ms() + 300_000)
    console.clock.moved_ms = 300_000
    console.forget()
    said = words_of((await console.get("/")).text)
    assert said.startswith(" No worker is running.") or "No worker is running." in said


async def test_clocks_that_are_off_are_told(console: RunningConsole, ledger: LedgerFile) -> None:
    console.clock.moved_ms = -90_000
    await console.sign_in()
    console.forget()
    page = await console.get("/")
    said = words_of(page.text)
    assert re.search("The clock of this machine is 1 min (29|30) s behind", said)
    assert "The clock of worker" not in said
    console.clock.moved_ms = 0
    ahead = MadeWorker("worker-2:9")
    heading = ahead.chain.message("state", [state()], made_now_ms() + 30_000)
    ledger.take(heading)
    console.forget()
    said = words_of((await console.get("/")).text)
    assert re.search("The clock of worker worker-2:9 is (29|30) s ahead", said)


async def test_a_clock_of_a_million_years_makes_no_page_fail(console: RunningConsole) -> None:
    await console.sign_in()
    far = 10**18
    console.context.ledger.close()
    with sqlite3.connect(_file(console)) as connection:
        connection.execute("UPDATE receipts SET at = ?, event_at = ? WHERE id = 1", (far, -far))
        connection.execute("UPDATE chains SET last_at = ?", (far,))
        connection.execute("UPDATE progress SET written_at = ?, read_at = ?", (far, 0))
    console.forget()
    for path in READING:
        assert (await console.get(path)).status == 200

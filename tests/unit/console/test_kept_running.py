"""What works beside the pages is told of when a fault ends it, and is begun anew."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

import aiohttp
import pytest
from pydantic import SecretStr

from devtools.ports import free_port
from devtools.waiting import wait_until
from tests.unit.console.console_parts import VIEWER, settings_of, write_integration
from tests.unit.examples import QUOTED
from worker import kept_running
from worker.console.context_from_settings import memory_path
from worker.console.process import Console, tell_fault
from worker.console.running_ledger import RunningLedger
from worker.kept_running import keep_running
from worker.ledger.database import Database
from worker.ledger.ledger_from_settings import LedgerParts, build_ledger, ledger_url
from worker.ledger.migrations import upgrade
from worker.ledger.reading_loop import Reading
from worker.settings import WorkerSettings


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_running, "AGAIN_SECONDS", 0.02)


def _settings(home: Path) -> WorkerSettings:
    """With no broker."""
    return settings_of(home, amqp_url=SecretStr(f"amqp://guest:guest@127.0.0.1:{free_port()}/"))


def _ledger_with(faults: list[str], settings: WorkerSettings) -> RunningLedger:
    """One with a fault at each of these places, once."""

    def fail(here: str) -> None:
        if here in faults:
            faults.remove(here)
            raise ValueError(QUOTED)

    def opened() -> Database:
        fail("open")
        return Database(ledger_url(settings), writes=True)

    def built(database: Database) -> LedgerParts:
        fail("build")
        parts = build_ledger(settings, database)
        if faults not in (["reading"], ["end"]):
            return parts

        def feed() -> NoReturn:
            if "reading" in faults:
                faults.remove("reading")
            raise ValueError(QUOTED)

        reading = Reading(parts.turns, parts.taking_in, feed, parts.upkeep, parts.report)
        return parts._replace(reading=reading)

    @asynccontextmanager
    async def around(_: LedgerParts, __: Path) -> AsyncIterator[None]:
        fail("begin")
        try:
            yield
        finally:
            fail("end")

    return RunningLedger(opened, built, around)


@pytest.mark.parametrize("place", ["open", "build", "begin", "reading", "end"])
async def test_a_fault_of_the_ledger_is_told_and_it_is_run_anew(
    tmp_path: Path, place: str, is_told: Callable[[str], bool]
) -> None:
    settings, faults = _settings(tmp_path), [place]
    running = _ledger_with(faults, settings)
    task = asyncio.create_task(keep_running(running.run, partial(tell_fault, "ledger")))
    await wait_until(lambda: is_told("console.unexpected_error"), "that it has failed", 5)
    assert is_told("ValueError")
    await wait_until(lambda: running.report is not None, "the ledger", 5)
    assert faults == []
    task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    assert running.report is None
    Database(ledger_url(settings), writes=True).close()  # the file is free again


async def test_a_ledger_that_has_failed_tells_nothing_of_itself(tmp_path: Path) -> None:
    running = _ledger_with(["reading"], _settings(tmp_path))
    with pytest.raises(ValueError, match=QUOTED):
        await running.run()
    assert running.report is None


async def test_a_fault_while_it_ends_does_not_keep_it_from_ending(
    is_told: Callable[[str], bool],
) -> None:
    begun = asyncio.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            raise ValueError(QUOTED)

    task = asyncio.create_task(keep_running(work, partial(tell_fault, "ledger")))
    await begun.wait()
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    assert task.done()
    assert is_told("ValueError")


async def test_a_console_that_can_not_note_a_change_goes_on_looking(
    tmp_path: Path, is_told: Callable[[str], bool]
) -> None:
    write_integration(tmp_path, "shop")
    settings = settings_of(tmp_path, console_port=0, reload_seconds=0.1)
    with closing(Database(ledger_url(settings), writes=True)) as database:
        upgrade(database)
    console = Console(settings, runs_ledger=False)
    port = await console.start()
    with closing(sqlite3.connect(memory_path(ledger_url(settings)))) as memory:
        memory.execute("DROP TABLE configs")
        memory.commit()
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(f"http://localhost:{port}", cookie_jar=jar) as http:
        await http.post("/login", data={"key": VIEWER}, allow_redirects=False)

        async def shows(integration: str) -> bool:
            async with http.get("/integrations") as reply:
                assert reply.status == 200
                return f"/integrations/{integration}" in await reply.text()

        write_integration(tmp_path, "press")
        await wait_until(lambda: is_told("console.unexpected_error"), "that it has failed", 10)
        write_integration(tmp_path, "museum")
        await wait_until(lambda: shows("museum"), "the next change", 10)
        assert await shows("press")
    await console.stop()

"""What works beside the reading of the ledger goes on after a fault of its own, which is told."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from devtools.made_receipts import MadeWorker, made_now_ms, receipt
from devtools.ports import free_port
from devtools.waiting import wait_until
from tests.unit.examples import QUOTED
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file
from worker.interrupt import Stop
from worker.ledger import upkeep
from worker.ledger.database import Database
from worker.ledger.progress import read_progress
from worker.ledger.reading_report import ReadingReport
from worker.ledger.schema import RECEIPTS
from worker.ledger.upkeep import Upkeep
from worker.ledger.write_turns import WriteTurns
from worker.letters import ledger_pass as ledger_pass_module
from worker.letters.ledger_pass import LedgerPass
from worker.letters.letter_desk import open_desk
from worker.letters.pass_request import PassRequest
from worker.settings import WorkerSettings

NOW = made_now_ms()


class FailingOnce(WriteTurns):
    """Has a fault of ours at the first turn."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._has_failed = False

    async def transact(self, work: Callable[..., Any], *arguments: Any) -> Any:
        if not self._has_failed:
            self._has_failed = True
            raise ValueError(QUOTED)
        return await super().transact(work, *arguments)


def _alive_at(ledger: LedgerFile) -> int:
    with ledger.transaction() as connection:
        progress = read_progress(connection)
    assert progress is not None
    return progress.alive_at


async def test_the_ledger_says_that_it_is_alive_after_a_fault_of_its_upkeep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_told: Callable[[str], bool]
) -> None:
    monkeypatch.setattr(upkeep, "_ALIVE_SECONDS", 0.02)
    with ledger_file(tmp_path) as ledger:
        before = _alive_at(ledger)
        one = Upkeep(FailingOnce(ledger.database), ReadingReport(), None, 3600.0)
        one.start()
        await wait_until(lambda: _alive_at(ledger) > before, "the next sign of life", 5)
        await one.stop()
    assert is_told("ledger.unexpected_error")
    assert is_told("ValueError")


async def test_what_is_old_goes_soon_after_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_ALIVE_SECONDS", 0.02)
    old, new = (MadeWorker(f"host:{n}").receipts([receipt(at=at)]) for n, at in enumerate((1, NOW)))
    with ledger_file(tmp_path) as ledger:
        ledger.take(old, new)
        one = Upkeep(WriteTurns(ledger.database), ReadingReport(), None, 3600.0)
        one.start()
        await wait_until(lambda: ledger.count(RECEIPTS) == 1, "that the old one is gone", 5)
        await one.stop()


def _ledger_pass(ledger: LedgerFile, stop: Stop) -> LedgerPass:
    """With no broker."""
    settings = WorkerSettings(amqp_url=SecretStr(f"amqp://guest:guest@127.0.0.1:{free_port()}/"))
    turns = WriteTurns(ledger.database)
    return LedgerPass(settings, turns, ledger.taking_in, stop, lambda _: None)


async def test_letters_are_compared_when_asked_for_after_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_told: Callable[[str], bool]
) -> None:
    monkeypatch.setattr(ledger_pass_module, "_AGAIN_SECONDS", 0.02)
    with ledger_file(tmp_path) as ledger, closing(ledger.database):
        path, stop, caught_up = ledger.database.path, Stop(), asyncio.Event()
        caught_up.set()
        ledger_pass = _ledger_pass(ledger, stop)
        in_its_place = path.with_name(f"{path.name}.letters-wanted")
        in_its_place.mkdir()
        running = asyncio.create_task(ledger_pass.run(caught_up, PassRequest(path)))
        await wait_until(lambda: is_told("ledger.unexpected_error"), "the fault", 5)
        in_its_place.rmdir()
        request = PassRequest(path)
        request.make()
        await wait_until(lambda: not request.is_there(), "that the request is taken", 5)
        stop.ask(signal.SIGTERM)
        await asyncio.wait_for(running, 20)


async def test_a_pass_that_met_a_fault_is_made_again_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_told: Callable[[str], bool]
) -> None:
    """The wish for it is taken when it begins, and whoever has it waits for a pass."""
    monkeypatch.setattr(ledger_pass_module, "_AGAIN_SECONDS", 0.02)
    faults = [ValueError(QUOTED)]

    def faulty(*arguments: Any) -> Any:
        if faults:
            raise faults.pop()
        return open_desk(*arguments)

    monkeypatch.setattr(ledger_pass_module, "open_desk", faulty)
    with ledger_file(tmp_path) as ledger, closing(ledger.database):
        stop, caught_up = Stop(), asyncio.Event()
        caught_up.set()
        request = PassRequest(ledger.database.path)
        request.make()
        ledger_pass = _ledger_pass(ledger, stop)
        running = asyncio.create_task(ledger_pass.run(caught_up, request))
        await wait_until(lambda: is_told("ledger.letters_unread"), "another try", 20)
        assert is_told("ledger.unexpected_error")
        stop.ask(signal.SIGTERM)
        await asyncio.wait_for(running, 20)

"""The ledger that a console runs: one of several, and another one goes on where it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from pydantic import SecretStr

from devtools.ports import free_port
from devtools.waiting import wait_until
from tests.unit.console.console_parts import settings_of
from worker.console import running_ledger
from worker.console.running_ledger import RunningLedger
from worker.ledger.database import Database
from worker.ledger.ledger_from_settings import LedgerParts, build_ledger, ledger_url


async def test_another_one_takes_over_when_the_file_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(running_ledger, "_AGAIN_SECONDS", 0.02)
    url = SecretStr(f"amqp://guest:guest@127.0.0.1:{free_port()}/")
    settings = settings_of(tmp_path, amqp_url=url)
    beside_it: list[str] = []

    @asynccontextmanager
    async def beside(_: LedgerParts, __: Path) -> AsyncIterator[None]:
        beside_it.append("begins")
        try:
            yield
        finally:
            beside_it.append("ends")

    first = Database(ledger_url(settings), writes=True)
    running = RunningLedger(
        lambda: Database(ledger_url(settings), writes=True),
        lambda database: build_ledger(settings, database),
        beside,
    )

    task = asyncio.create_task(running.run())
    told = ""

    def is_told() -> bool:
        nonlocal told
        told += "".join(capfd.readouterr())
        return "console.ledger_not_run" in told

    await wait_until(is_told, "that another one writes", 5)
    assert "one is enough" in told
    assert running.report is None
    first.close()
    await wait_until(lambda: running.report is not None, "the take-over", 5)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert beside_it == ["begins", "ends"]
    Database(ledger_url(settings), writes=True).close()  # the file is free again

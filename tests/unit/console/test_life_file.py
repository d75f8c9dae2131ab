"""The file of a life that spans much of the stream: it is sent as it is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from pydantic import SecretStr

from devtools.made_receipts import MadeWorker, made_now_ms, receipt, state
from tests.unit.cli.conftest import NOBODY
from tests.unit.console.console_parts import RunningConsole, running_console
from tests.unit.ledger.ledger_file import LedgerFile
from worker.evidence.exported_file import verify_file
from worker.evidence.signing import Keyring
from worker.ledger.exporting import MESSAGES_AT_ONCE
from worker.ledger.stored_receipts import key_of_life
from worker.ledger.trouble import LedgerTrouble

AT = made_now_ms() - 600_000
BETWEEN = 5 * MESSAGES_AT_ONCE
KEY = key_of_life(receipt("ev-9"))
PATH = f"/lives/{KEY.hex()}/receipts.jsonl"


@pytest.fixture
async def console(tmp_path: Path, ledger: LedgerFile) -> AsyncIterator[RunningConsole]:
    """An event was parked and delivered later, and its process wrote much of others meanwhile."""
    worker = MadeWorker("worker-1:7")
    parked = receipt("ev-9", outcome="parked", reason="blocked", at=AT, due_at=AT + 9)
    others = (worker.receipts([receipt(f"ev-1{n}")]) for n in range(BETWEEN))
    ledger.take(
        worker.begin(),
        worker.receipts([receipt("ev-8"), parked]),
        *others,
        worker.receipts([receipt("ev-9", at=AT + 90)]),
        worker.state(state()),
    )
    async with running_console(tmp_path, amqp_url=SecretStr(NOBODY)) as running:
        await running.sign_in()
        yield running


class _HeldUp:
    """From the third question of the file on, the ledger's answers wait for `go_on`, which may
    raise; `waits` says that one does.
    """

    def __init__(self, console: RunningConsole, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go_on: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waits = asyncio.Event()
        self._query = console.context.ledger.query
        self._asked = 0
        monkeypatch.setattr(console.context.ledger, "query", self._ask)

    async def _ask(self, function: Any, *arguments: Any, **named: Any) -> Any:
        self._asked += function.__module__.endswith(("pages.lives", "life_file"))
        if self._asked >= 3:
            self.waits.set()
            await self.go_on
        return await self._query(function, *arguments, **named)


async def test_no_link_of_another_site_takes_it(console: RunningConsole) -> None:
    refused = await console.get(PATH, headers={"Sec-Fetch-Site": "cross-site"})
    assert (refused.status, console.letters.trail.waiting) == (403, 0)


async def test_it_is_whole(console: RunningConsole) -> None:
    file = await console.get(PATH)
    lines = file.text.encode().splitlines()
    verification, findings = verify_file(lines, Keyring())
    assert (findings, verification.messages) == ([], BETWEEN + 2)
    assert orjson.loads(lines[-1]) == {"messages": BETWEEN + 2, "receipts": 2}
    rows = [row for line in lines for row in orjson.loads(line).get("rows", ())]
    assert [set(row) - {"place"} for row in rows] == [{"row_digest", "blanked"}, {"row"}, {"row"}]


async def test_it_begins_before_all_of_it_was_read(
    console: RunningConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = _HeldUp(console, monkeypatch)
    async with asyncio.timeout(20), console.http.get(console.url + PATH) as response:
        await held.waits.wait()
        first = [await response.content.readline() for _ in range(1 + MESSAGES_AT_ONCE)]
        assert orjson.loads(first[0])["what"].startswith("receipts")
        held.go_on.set_result(None)
        rest = (await response.content.read()).splitlines()
    _, findings = verify_file([*first, *rest], Keyring())
    assert findings == []


async def test_a_ledger_that_goes_away_cuts_it_and_never_makes_a_page_of_the_rest(
    console: RunningConsole, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    held = _HeldUp(console, monkeypatch)
    rest: list[bytes] = []
    async with asyncio.timeout(20), console.http.get(console.url + PATH) as response:
        first = await response.content.readline()
        await held.waits.wait()
        held.go_on.set_exception(LedgerTrouble("the ledger is locked"))
        with pytest.raises(aiohttp.ClientError):
            await _read_into(response, rest)
    got = b"".join([first, *rest])
    assert b"<html" not in got
    assert b'"receipts":' not in got, "without its last line a file is known to be cut"
    assert "console.file_cut" in "".join(capfd.readouterr())


async def _read_into(response: aiohttp.ClientResponse, lines: list[bytes]) -> None:
    while line := await response.content.readline():
        lines.append(line)

"""A console behind a proxy that has signed people in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from tests.unit.console.console_parts import (
    RunningConsole,
    fill,
    lane,
    running_console,
    usual_receipts,
    write_integration,
)
from tests.unit.ledger.ledger_file import LedgerFile

PROXY: Final[dict[str, Any]] = {
    "console_proxy_address": "127.0.0.1",
    "console_proxy_header": "X-Console-User",
}
SHE: Final = {"X-Console-User": "operator night-shift"}


@pytest.fixture
async def behind(tmp_path: Path, ledger: LedgerFile) -> AsyncIterator[RunningConsole]:
    """A console whose fleet does well, behind the proxy of the test."""
    write_integration(tmp_path, "shop")
    fill(ledger, usual_receipts())
    async with running_console(tmp_path, **PROXY) as running:
        yield running


async def test_pages_are_live_for_who_a_proxy_has_signed_in(
    behind: RunningConsole, ledger: LedgerFile
) -> None:
    async with behind.http.get(behind.url + "/live", headers=SHE) as live:
        assert await _sentence(live) == "All well."
        fill(ledger, [], lanes=[lane()])
        assert (await _sentence(live)).startswith("shop is failing")


async def _sentence(live: aiohttp.ClientResponse) -> str:
    """What the next beat of the stream says."""
    while (line := await live.content.readline()) != b"event: beat\n":
        assert line, "the stream has ended"
    said = await live.content.readline()
    return str(json.loads(said.removeprefix(b"data: "))["sentence"])

"""One browser for all tests of a process, and a console over a ledger with a staged afternoon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from devtools.chromium import ChromiumUnavailable, ensure_installed
from tests.browser.afternoon import stage
from tests.unit.console.console_parts import RunningConsole, running_console
from tests.unit.ledger.ledger_file import ledger_file

_TELL_SECONDS: Final = 3.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, without a screen."""
    try:
        path = ensure_installed()
    except ChromiumUnavailable as problem:
        pytest.fail(str(problem))
    async with async_playwright() as playwright:
        # Nobody but the test's own pages is looked at, and containers have no room for a sandbox.
        made = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield made
        await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def console(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningConsole]:
    """The shop is failing, travel is blocked, museum is well."""
    home: Path = tmp_path_factory.mktemp("console")
    async with AsyncExitStack() as stack:
        ledger = stack.enter_context(ledger_file(home))
        telling = asyncio.create_task(_keep_telling(stage(home, ledger)))
        yield await stack.enter_async_context(running_console(home))
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling


async def _keep_telling(tell: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(_TELL_SECONDS)
        tell()

"""A check that somebody asks for runs once, however often it is asked for meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.unit.console.console_parts import OPERATOR, fill, running_console, write_integration
from tests.unit.console.test_pages import words_of
from tests.unit.ledger.ledger_file import LedgerFile
from worker.adobe.check.report_lines import Line, ok
from worker.console.checks import Checks
from worker.integrations.model import Integration


class SlowCheck:
    """Gives its lines when it is let go."""

    def __init__(self) -> None:
        self.calls = 0
        self.has_begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def __call__(self, _: Integration) -> Sequence[Line]:
        self.calls += 1
        self.has_begun.set()
        await self.may_end.wait()
        return [ok("token", "obtained")]


async def test_two_clicks_are_one_check_and_both_wait_for_it(
    tmp_path: Path, ledger: LedgerFile
) -> None:
    write_integration(tmp_path, "shop")
    fill(ledger, [])
    slow = SlowCheck()
    async with running_console(tmp_path, slow) as console:
        await console.sign_in(OPERATOR)
        form = {"csrf": await console.csrf()}
        clicks = [
            asyncio.create_task(console.post("/integrations/shop/check", form)) for _ in range(3)
        ]
        await slow.has_begun.wait()
        said = words_of((await console.get("/integrations/shop")).text)
        assert "The check asks Adobe now." in said
        slow.may_end.set()
        assert [one.status for one in await asyncio.gather(*clicks)] == [303] * 3
        assert slow.calls == 1
        assert "token obtained" in words_of((await console.get("/integrations/shop")).text)


async def test_who_waits_too_long_goes_on_and_the_check_does_too(tmp_path: Path) -> None:
    slow = SlowCheck()
    checks = Checks(slow, lambda: 5)
    async with running_console(tmp_path) as console:
        write_integration(tmp_path, "shop")
        console.context.integrations.load()
        integration = console.context.integrations.get("shop")
    assert integration is not None
    await checks.run(integration, 0.01)
    assert checks.is_running("shop")
    assert checks.last("shop") is None
    slow.may_end.set()
    await checks.run(integration, 5)
    last = checks.last("shop")
    assert last is not None
    assert (last.verdict, last.failure, checks.is_running("shop")) == ("ok", "", False)


@pytest.mark.parametrize("error", [RuntimeError("s3cr3t"), KeyError("s3cr3t")])
async def test_a_check_that_fails_says_so_and_nothing_of_its_values(
    tmp_path: Path, ledger: LedgerFile, error: Exception
) -> None:
    async def failing(_: Integration) -> Sequence[Line]:
        raise error

    write_integration(tmp_path, "shop")
    fill(ledger, [])
    async with running_console(tmp_path, failing) as console:
        await console.sign_in(OPERATOR)
        await console.post("/integrations/shop/check", {"csrf": await console.csrf()})
        page = await console.get("/integrations/shop")
        assert f"the check itself has failed ({type(error).__name__})" in page.text
        assert "s3cr3t" not in page.text

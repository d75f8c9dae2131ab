"""An integration whose file is gone needs somebody while events wait for it, and nobody after."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devtools.made_receipts import MadeWorker
from tests.unit.console.console_parts import (
    RunningConsole,
    fill,
    lane,
    running_console,
    usual_receipts,
    waiting_withdrawal,
    write_integration,
)
from tests.unit.console.test_pages import dead, words_of
from tests.unit.ledger.ledger_file import LedgerFile
from worker.evidence.receipt import Receipt
from worker.ledger.stored_receipts import key_of_life

ADVICE = (
    "Put the file back, and what waits goes on. Without it each event becomes a dead letter a day "
    "after it came: discard these, if nobody is to have them."
)


def _in_doubt(count: int) -> list[Receipt]:
    """Withdrawals for travel that wait since its file is gone."""
    return [waiting_withdrawal("in-doubt", 2_220_000) for _ in range(count)]


@pytest.fixture
async def without_travel(tmp_path: Path, ledger: LedgerFile) -> AsyncIterator[RunningConsole]:
    """The shop does well; travel's file is gone while five withdrawals wait for it, and there is
    nothing left of the museum, whose file is gone as well, but two dead letters.
    """
    write_integration(tmp_path, "shop")
    left = dead(2, integration="museum", choice="given", reason="unknown-integration", status=None)
    fill(
        ledger,
        [*usual_receipts(5), *_in_doubt(5), *left],
        lanes=[lane(state="well", error="", words="")],
    )
    async with running_console(tmp_path) as running:
        await running.sign_in()
        yield running


async def test_what_waits_for_a_file_that_is_gone_is_urgent_everywhere(
    without_travel: RunningConsole,
) -> None:
    page = await without_travel.get("/")
    said = words_of(page.text)
    assert said.startswith(
        " travel is gone: There is no file of it any more, and events wait for it. Open travel"
    )
    assert "5 waiting" in said
    assert "travel, which is gone" in said
    assert "5 of them held" in said
    assert (await without_travel.get("/worst")).way == "/integrations/travel"
    assert "icon-failing" in page.text.partition("data-well")[0]
    page = await without_travel.get("/integrations/travel")
    said = words_of(page.text)
    assert ADVICE in said
    assert "Waiting 5 held until its file is back" in said
    assert "overdue" not in said


async def test_a_life_that_waits_says_until_when_and_when_it_was_due(
    without_travel: RunningConsole, ledger: LedgerFile
) -> None:
    one = "00000000-0000-4000-8000-00000000000a"
    (waits,) = (event._replace(event=one) for event in _in_doubt(1))
    worker = MadeWorker("worker-2:7")
    ledger.take(worker.begin())
    ledger.take(worker.receipts([waits]))
    csrf = await without_travel.csrf()
    found = words_of((await without_travel.post("/find", {"csrf": csrf, "q": one})).text)
    assert re.search(r"parked in-doubt due in \d+ s", found)
    life = f"/lives/{key_of_life(waits).hex()}"
    said = words_of((await without_travel.get(life)).text)
    assert "Held until the file of its integration is there and valid, for a day at most" in said
    assert re.search(r"Next look in \d+ s ; it is held again until the file", said)
    without_travel.clock.moved_ms = 360_000
    found = words_of((await without_travel.post("/find", {"csrf": csrf, "q": one})).text)
    assert re.search(r"parked in-doubt was due (4 min|5 min) ago", found)
    said = words_of((await without_travel.get(life)).text)
    assert re.search(r"The next look was due \d min ago ; it is held again", said)


async def test_one_number_says_how_many_need_somebody(without_travel: RunningConsole) -> None:
    page = await without_travel.get("/integrations")
    assert words_of(page.text).startswith(" travel needs you, of 3 integrations.")
    navigation = " ".join(page.text.partition("</nav>")[0].split())
    assert '1<span class="vh"> needs you</span>' in navigation
    async with without_travel.http.get(f"{without_travel.url}/live") as response:
        while not (line := await response.content.readline()).startswith(b"data: "):
            pass
    assert json.loads(line.removeprefix(b"data: "))["is_urgent"] is True


async def test_what_is_gone_and_has_left_nothing_needs_nobody(
    without_travel: RunningConsole,
) -> None:
    said = words_of((await without_travel.get("/integrations/museum")).text)
    assert "museum is gone, 2 dead" in said
    assert "There is no file of it any more, and nothing waits for it." in said
    assert "See its dead letters" in said
    assert ADVICE not in said


async def test_more_than_one_is_told_by_the_same_number(tmp_path: Path, ledger: LedgerFile) -> None:
    write_integration(tmp_path, "shop")
    (tmp_path / "integrations/shop.json").write_text(json.dumps({"id": "shop"}))
    write_integration(tmp_path, "press")
    lanes = [lane(), lane("press", state="blocked", error="token-refused", words="")]
    fill(ledger, [*usual_receipts(5), *_in_doubt(1)], lanes=lanes)
    async with running_console(tmp_path) as console:
        await console.sign_in()
        said = words_of((await console.get("/")).text)
        assert "shop is failing: Adobe answers 5xx. 2 more integrations need you." in said
        page = await console.get("/integrations")
        assert words_of(page.text).startswith(" 3 of 3 integrations need you.")
        assert '3<span class="vh"> need you</span>' in page.text

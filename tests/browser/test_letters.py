"""Find, dead letters, explain and trail as a person has them, over a real broker."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.browser.pictures import ARE_WANTED, picture
from tests.browser.test_console import PHONE, findings, opened
from tests.integration.console.letter_parts import ANNA, PERSON, LetterStack, letter_stack
from tests.unit.console.console_parts import OPERATOR, REVEALER, write_integration
from worker.broker.act_writer import ActWriter
from worker.console.context_from_settings import note_configs
from worker.evidence.act import Act, new_act_id
from worker.evidence.exported_file import verify_file
from worker.evidence.signing import Keyring
from worker.ledger.stored_receipts import key_of_life

pytestmark = pytest.mark.asyncio(loop_scope="module")

LETTERS: Final = 40
PICTURES: Final = frozenset({"dead-letters", "letter", "preview", "life", "explained", "found"})
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": PHONE,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(
    broker_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LetterStack]:
    """Letters of the shop that Adobe's outage has left, and some that it has rejected."""
    home: Path = tmp_path_factory.mktemp("letters")
    async with letter_stack(broker_url, f"t{uuid.uuid4().hex[:8]}", home) as running:
        tries = [
            running.fate(1, "retried", reason="adobe-unavailable", status=503, attempt=n, due_at=1)
            for n in range(1, 7)
        ]
        newer = running.fate(90, "delivered", user=ANNA, event_at=running.at_ms)
        await running.tell(*tries, *(running.fate(n) for n in range(LETTERS)), newer)
        await running.bury(*range(LETTERS))
        await running.bury(
            *range(50, 53),
            consent_dead_reason="adobe-rejected",
            consent_error="adobe-rejected",
            consent_http_status=400,
        )
        yield running


def _ways(stack: LetterStack) -> dict[str, str]:
    """The pages that a link leads to, by name."""
    return {
        "find": "/find",
        "life": f"/lives/{key_of_life(stack.fate(1)).hex()}",
        "dead-letters": "/dead-letters",
        "letters": "/dead-letters/letters?kind=withdrawn",
        "letter": "/dead-letters/letters/letter-1",
        "preview": "/dead-letters/preview/replay?integration=shop",
        "discard": "/dead-letters/preview/discard?reason=adobe-rejected",
        "explain": "/explain",
        "trail": "/trail",
    }


async def _explain(page: Page, stack: LetterStack) -> None:
    await page.goto(f"{stack.console.url}/explain")
    event = json.loads(stack.body(1)) | {"organization_id": "northwind"}
    await page.get_by_label(re.compile("An event")).fill(json.dumps(event))
    await page.get_by_role("button", name="Explain").click()


async def _find(page: Page, stack: LetterStack) -> None:
    await page.goto(f"{stack.console.url}/find")
    await page.get_by_label(re.compile("Event id")).fill("ev-1")
    await page.get_by_role("button", name="Find").click()


@pytest.mark.parametrize("look", LOOKS)
async def test_axe_finds_nothing(browser: Browser, stack: LetterStack, look: str) -> None:
    await stack.live()
    async with opened(browser, stack.console, REVEALER, **LOOKS[look]) as page:

        async def judge(name: str) -> None:
            if name in PICTURES:
                await picture(page, name, look)
            assert await findings(page) == [], name
            width = await page.evaluate("document.documentElement.scrollWidth")
            assert look != "phone" or width <= 390, name
            assert PERSON not in await page.content(), name

        for name, way in _ways(stack).items():
            await page.goto(stack.console.url + way)
            await judge(name)
        await _explain(page, stack)
        await judge("explained")
        await _find(page, stack)
        await judge("found")


async def test_letters_are_discarded_without_javascript(
    browser: Browser, stack: LetterStack
) -> None:
    async with opened(browser, stack.console, OPERATOR, java_script_enabled=False) as page:
        await page.goto(f"{stack.console.url}/dead-letters?reason=adobe-rejected")
        await page.get_by_role("link", name="Inspect").click()
        for number in (50, 51):
            await page.get_by_label(f"select letter letter-{number}").check()
        await page.get_by_role("button", name="Discard the selected").click()
        assert "Discard 2 letters" in await page.get_by_role("heading", level=1).inner_text()
        await page.get_by_label("How many are discarded").fill("2")
        await page.get_by_role("button", name="Discard 2 letters").click()
        await page.get_by_role("heading", name="Discarded 2 letters.").wait_for(timeout=20_000)


async def test_a_group_is_replayed_and_its_fate_seen_without_a_reload(
    browser: Browser, stack: LetterStack
) -> None:
    async with opened(browser, stack.console, OPERATOR) as page:
        await page.goto(f"{stack.console.url}/dead-letters")
        there = await page.locator("#letters-there").inner_text()
        await page.get_by_role("link", name="Inspect").first.click()
        await page.wait_for_url("**/dead-letters/groups/*")
        await _select_some(page)
        await page.keyboard.press("r")
        await page.get_by_label("Canaries", exact=False).first.fill("2")
        await page.get_by_label("Why").fill("incident 4711")
        await page.get_by_role("button", name="Replay the canaries").click()
        await page.wait_for_url("**/dead-letters/acts/*")
        await page.evaluate("window.sameDocument = true")
        heading = page.get_by_role("heading", level=1)
        await page.get_by_text("The canaries are on their way.").wait_for(timeout=20_000)
        await stack.wait_for_depth("retries", 2)
        # Which of the withdrawals are the canaries, the queue decides.
        withdrawn = range(1, LETTERS, 2)
        await stack.tell(*(stack.fate(n, "delivered", delivery=1) for n in withdrawn))
        await page.get_by_role("heading", name=f"Replayed {LETTERS} letters").wait_for(
            timeout=20_000
        )
        assert await page.evaluate("window.sameDocument")
        assert "Replayed" in await heading.inner_text()
        assert await findings(page) == []
        all_of_them = re.compile(rf"delivered\s*{len(withdrawn)}$")
        await page.locator(".prog .ends li", has_text=all_of_them).wait_for(timeout=20_000)
        # The navigation follows without a reload.
        others = page.locator("#letters-there").filter(has_not_text=re.compile(rf"^{there}$"))
        await others.wait_for(timeout=20_000)
        assert await page.evaluate("window.sameDocument")
        act = page.url
        await page.goto(f"{stack.console.url}/trail")
        await page.get_by_text("incident 4711").first.wait_for()
    for look, options in LOOKS.items() if ARE_WANTED else ():
        await stack.live()
        async with opened(browser, stack.console, OPERATOR, **options) as page:
            for name, way in (("act", act), ("trail", f"{stack.console.url}/trail")):
                await page.goto(way)
                await picture(page, name, look)


async def _select_some(page: Page) -> None:
    """Whatever asks for a replay takes the selection while there is one, and all when not."""
    chosen = page.get_by_role("button", name="Replay the selected")
    assert await chosen.is_disabled()
    for number in (2, 3):
        await page.get_by_label(f"select letter letter-{number}", exact=True).check()
    await page.get_by_text(f"2 of {LETTERS} selected").wait_for()
    assert await page.get_by_role("link", name="Replay 2 selected").count() == 1
    await page.keyboard.press("r")
    await page.get_by_role("heading", name="Replay 2 letters?").wait_for()
    await page.go_back()
    every = page.get_by_label("select all letters of this page")
    await every.check()
    await page.get_by_text(f"{LETTERS} of {LETTERS} selected").wait_for()
    await every.uncheck()
    await page.get_by_role("link", name=f"Replay all {LETTERS}").wait_for()
    assert await page.get_by_role("button", name="Discard the selected").is_disabled()


@pytest.mark.parametrize("has_script", [True, False])
async def test_the_file_of_acts_is_taken_and_verifies(
    browser: Browser, stack: LetterStack, has_script: bool
) -> None:
    why = f"incident {'4712' if has_script else '4713'}"
    writer = ActWriter(stack.console.context.settings, "test", lambda: stack.at_ms)
    await writer.write(Act(new_act_id(), "erased", "ended", "", "command", stack.at_ms, why=why))
    await stack.wait_for("/trail", why)
    async with opened(browser, stack.console, OPERATOR, java_script_enabled=has_script) as page:
        await page.goto(f"{stack.console.url}/trail")
        await page.get_by_text("Those shown here verify now").wait_for()
        await page.get_by_label("First day").fill("2026-01-01")
        async with page.expect_download() as started:
            await page.get_by_role("button", name="File for the auditor").click()
        download = await started.value
        assert download.suggested_filename == "consent-acts-2026-01-01.jsonl"
        text = (await download.path()).read_text()
        assert verify_file(text.encode().splitlines(), Keyring())[1] == []
        assert why in text
        assert PERSON not in text


async def test_an_event_is_explained_by_the_version_before(
    browser: Browser, stack: LetterStack
) -> None:
    context = stack.console.context
    path = context.settings.integrations / "shop.json"
    at = path.stat().st_mtime + 60
    mapping = {"id": "_northwind.other", "value": "consents_purposes_newsletter_enabled"}
    write_integration(path.parent.parent, "shop", mappings=[mapping])
    os.utime(path, (at, at))
    context.integrations.load()
    note_configs(context)
    for options in LOOKS.values():
        async with opened(browser, stack.console, OPERATOR, **options) as page:
            await page.goto(f"{stack.console.url}/integrations/shop")
            await page.get_by_role("link", name="Explain an event by the version before").click()
            await page.get_by_label("By which configuration").select_option(index=1)
            assert await findings(page) == []
            event = json.loads(stack.body(1)) | {"organization_id": "northwind"}
            await page.get_by_label(re.compile("An event")).fill(json.dumps(event))
            await page.get_by_role("button", name="Explain").click()
            await page.get_by_text("What is in force now would do something else").wait_for()
            assert await findings(page) == []
            assert PERSON not in await page.content()

"""A page whose stream of the fleet was refused or has ended asks for it again."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Route, expect

from tests.unit.console.console_parts import VIEWER, RunningConsole

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_page_that_was_refused_the_stream_is_live_again_by_itself(
    browser: Browser, console: RunningConsole
) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    asked = 0

    async def answer(route: Route) -> None:
        nonlocal asked
        asked += 1
        if asked <= 2:
            await route.fulfill(status=503, body="")
        else:
            await route.continue_()

    await page.route("**/live", answer)
    await page.goto(f"{console.url}/")
    await page.get_by_label("Key").fill(VIEWER)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(f"{console.url}/")
    live = page.locator("#live")
    await expect(live).to_contain_text("not live")
    await expect(live).to_have_text(" live", timeout=15_000)
    assert asked == 3, "with a pause before each time"
    await context.close()

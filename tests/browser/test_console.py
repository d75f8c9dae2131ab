"""The console as a person has it: by mouse and keyboard, dark, on a phone, without JavaScript."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.pictures import picture
from tests.unit.console.console_parts import OPERATOR, VIEWER, RunningConsole

pytestmark = pytest.mark.asyncio(loop_scope="module")

AXE: Final = (Path(__file__).parent / "vendor/axe.min.js").read_text()
PAGES: Final = {
    "overview": "/",
    "integrations": "/integrations",
    "integration": "/integrations/travel",
    "keys": "/keys",
}
PHONE: Final = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
WIDE: Final = {"viewport": {"width": 1280, "height": 900}}


@asynccontextmanager
async def opened(
    browser: Browser, console: RunningConsole, key: str = VIEWER, **options: Any
) -> AsyncIterator[Page]:
    """A page of somebody who has signed in by the form, in which nothing may go wrong."""
    context = await browser.new_context(**(WIDE | options))
    page = await context.new_page()
    wrong: list[str] = []
    elsewhere: list[str] = []
    page.on("console", lambda one: wrong.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda one: wrong.append(str(one)))
    page.on(
        "request",
        lambda one: None if one.url.startswith(console.url) else elsewhere.append(one.url),
    )
    try:
        await page.goto(f"{console.url}/")
        await page.get_by_label("Key").fill(key)
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url(f"{console.url}/")
        yield page
        assert wrong == []
        assert elsewhere == []
    finally:
        await context.close()


async def findings(page: Page, *rules: str) -> list[str]:
    """What axe finds wrong, by all rules or by these."""
    session = await page.context.new_cdp_session(page)
    # By the protocol, since the policy of the page lets no script in.
    await session.send("Runtime.evaluate", {"expression": AXE})
    told = await page.evaluate("(options) => axe.run(options)", {"runOnly": rules} if rules else {})
    return [
        f"{one['id']}: {node['target']} {node.get('failureSummary', '')}"
        for one in told["violations"]
        for node in one["nodes"]
    ]


@pytest.mark.parametrize(("scheme", "rules"), [("light", ()), ("dark", ("color-contrast",))])
async def test_axe_finds_nothing(
    browser: Browser, console: RunningConsole, scheme: Any, rules: tuple[str, ...]
) -> None:
    async with opened(browser, console, OPERATOR, color_scheme=scheme) as page:
        for name, path in PAGES.items():
            await page.goto(console.url + path)
            await picture(page, name, scheme)
            assert await findings(page, *rules) == [], path


async def test_a_phone_has_no_sideways_scrolling_and_large_targets(
    browser: Browser, console: RunningConsole
) -> None:
    async with opened(browser, console, OPERATOR, **PHONE) as page:
        for name, path in PAGES.items():
            await page.goto(console.url + path)
            await picture(page, name, "phone")
            assert await findings(page, "target-size", "scrollable-region-focusable") == [], path
            assert await page.evaluate(_WIDTH) <= 390, path
            await page.get_by_role("button", name="show absolute times").click()
            assert await page.evaluate(_WIDTH) <= 390, path
            await page.get_by_role("button", name="show relative times").click()
            last = page.get_by_role("navigation").get_by_role("link", name="Trail")
            assert await last.evaluate("one => one.getBoundingClientRect().right") <= 390, path
        assert await page.locator(".nav a").first.evaluate("one => one.offsetHeight") >= 44


_WIDTH: Final = "document.documentElement.scrollWidth"
_CROSSING: Final = """[...document.querySelectorAll(".fig, .check li > span")].filter(one =>
    [one, ...one.querySelectorAll("*:not(.vh)")].some(part =>
        part.getBoundingClientRect().right > one.getBoundingClientRect().right + 1
        || part.scrollWidth > part.clientWidth + 1 && part.clientWidth > 0
    )).map(one => one.innerText)"""


@pytest.mark.parametrize("width", [375, 1280])
async def test_no_figure_and_no_line_of_a_check_crosses_its_edge(
    browser: Browser, console: RunningConsole, width: int
) -> None:
    viewport = {"width": width, "height": 900}
    async with opened(browser, console, OPERATOR, viewport=viewport) as page:
        for path in ("/", "/integrations/shop", "/integrations/travel"):
            await page.goto(console.url + path)
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert await page.evaluate(_CROSSING) == [], path
        await page.get_by_role("button", name="Check now").click()
        await expect(page.locator(".check li").first).to_be_visible()
        assert await page.evaluate(_CROSSING) == []


async def test_how_long_something_has_been_so_is_since_when_in_absolute_times(
    browser: Browser, console: RunningConsole
) -> None:
    async with opened(browser, console) as page:
        await page.goto(f"{console.url}/integrations/shop")
        lasting = page.locator("time[data-absolute]").first
        assert re.fullmatch(r"For \d+\s\w+", await lasting.inner_text())
        await page.get_by_role("button", name="show absolute times").click()
        assert re.fullmatch(r"Since \d{4}-\d\d-\d\d [\d:]+ UTC", await lasting.inner_text())


async def test_u_leads_from_a_life_back_to_the_list_that_led_to_it(
    browser: Browser, console: RunningConsole
) -> None:
    async with opened(browser, console) as page:
        await page.goto(f"{console.url}/integrations/shop")
        await page.locator("a[href^='/lives/']").first.click()
        await page.wait_for_url("**/lives/*")
        await page.keyboard.press("u")
        await page.wait_for_url("**/integrations/shop")


async def test_escape_leaves_a_field_and_the_keys_work_again(
    browser: Browser, console: RunningConsole
) -> None:
    async with opened(browser, console) as page:
        await page.goto(f"{console.url}/find")
        await expect(page.locator("#q")).to_be_focused()
        await page.keyboard.press("Escape")
        await page.keyboard.press("g")
        await page.keyboard.press("i")
        await page.wait_for_url("**/integrations")


async def test_the_three_clicks_from_trouble_to_its_cause(
    browser: Browser, console: RunningConsole
) -> None:
    async with opened(browser, console) as page:
        heading = page.get_by_role("heading", level=1)
        assert "shop is failing" in await heading.inner_text()
        assert (await page.title()).startswith(("shop is failing", "\u25b2"))
        await (
            page.get_by_role("list", name="What is wrong")
            .get_by_role("link", name="travel")
            .click()
        )
        assert "travel is blocked" in await heading.inner_text()
        assert "invalid client secret" in await page.locator(".adobe").inner_text()
        assert await page.get_by_role("button", name="Check now").count() == 0, "a viewer looks"


async def test_an_operator_checks_by_the_keyboard_alone(
    browser: Browser, console: RunningConsole
) -> None:
    async with opened(browser, console, OPERATOR) as page:
        await page.keyboard.press("g")
        await page.keyboard.press("i")
        await page.wait_for_url("**/integrations")
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/integrations/travel")
        await page.keyboard.press("c")
        await page.wait_for_url("**/integrations/travel#check")
        assert "1 wrong, 0 not judged" in await page.locator("#check").inner_text()
        await page.keyboard.press("?")
        await page.wait_for_url("**/keys")


async def test_keys_rest_while_somebody_types(browser: Browser, console: RunningConsole) -> None:
    async with opened(browser, console) as page:
        await page.goto(f"{console.url}/integrations")
        await page.get_by_label("Part of an id").fill("")
        await page.get_by_label("Part of an id").press_sequentially("g?i")
        assert page.url == f"{console.url}/integrations"


async def test_the_result_of_find_has_the_focus(browser: Browser, console: RunningConsole) -> None:
    async with opened(browser, console) as page:
        await page.keyboard.press("/")
        await page.wait_for_url("**/find")
        await page.keyboard.type("nobody-9")
        await page.keyboard.press("Enter")
        await expect(page.locator("#found")).to_be_focused()


async def test_what_changes_is_said_without_a_reload(
    browser: Browser, console: RunningConsole
) -> None:
    async with opened(browser, console) as page:
        await expect(page.locator("#live")).to_have_text(" live")
        await page.evaluate("window.sameDocument = true")
        console.clock.moved_ms = 600_000
        try:
            said = "Nobody reads the receipts now."
            await expect(page.locator("#said")).to_have_text(said, timeout=7_000)
            await expect(page.get_by_role("heading", level=1)).to_have_text(said, timeout=7_000)
            assert await page.evaluate("window.sameDocument")
        finally:
            console.clock.moved_ms = 0


async def test_without_javascript_everything_can_be_read(
    browser: Browser, console: RunningConsole
) -> None:
    async with opened(browser, console, OPERATOR, java_script_enabled=False) as page:
        await page.get_by_role("link", name="Integrations").click()
        await page.get_by_role("link", name="blocked 1").click()
        await page.get_by_role("link", name="travel", exact=True).click()
        assert "travel is blocked" in await page.get_by_role("heading", level=1).inner_text()
        charts = page.get_by_role("img", name=re.compile("Receipts a second now|No receipts now"))
        assert await charts.locator("path").count() >= 1
        await page.get_by_role("link", name="last week").click()
        assert "period=week" in page.url
        await page.get_by_role("button", name="Check now").click()
        assert "1 wrong" in await page.locator("#check").inner_text()
        await page.get_by_role("button", name="sign out").click()
        assert page.url == f"{console.url}/login"


async def test_a_page_is_light_and_soon_there(browser: Browser, console: RunningConsole) -> None:
    async with opened(browser, console) as page:
        await page.goto(f"{console.url}/keys")
        await page.goto(f"{console.url}/")
        sizes = await page.evaluate(
            "[performance.getEntriesByType('navigation')[0].encodedBodySize,"
            " ...performance.getEntriesByType('resource').map((one) => one.encodedBodySize)]"
        )
        assert sum(sizes) <= 150_000
        shift = await page.evaluate(
            """new Promise((done) => { let sum = 0;
            const add = (list) => { for (const one of list.getEntries()) sum += one.value; };
            new PerformanceObserver(add).observe({ type: "layout-shift", buffered: true });
            setTimeout(() => done(sum), 300); })"""
        )
        assert shift < 0.02


async def test_a_chart_tells_the_values_under_the_cursor(
    browser: Browser, console: RunningConsole
) -> None:
    async with opened(browser, console) as page:
        chart = page.locator("figure").first
        before = await chart.bounding_box()
        await chart.locator(".u-over").hover(position={"x": 60, "y": 40})
        await expect(chart.locator("figcaption .say")).to_contain_text("UTC: delivered 0.2")
        assert await chart.bounding_box() == before
        await page.mouse.move(0, 0)
        await expect(chart.locator("figcaption .say")).to_contain_text("average of 1")

"""Text of strangers is text: never markup, never an act, and the page stays whole."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from devtools.made_receipts import MadeWorker, made_now_ms, receipt, state
from tests.unit.console.console_parts import (
    RunningConsole,
    fill,
    lane,
    running_console,
    usual_receipts,
    write_integration,
)
from tests.unit.ledger.ledger_file import LedgerFile

PAGES = (
    "/",
    "/integrations",
    "/integrations/shop",
    "/integrations/shop?period=week",
    "/keys",
    "/login",
    "/nowhere",
    "/integrations?q=%3Cscript%3Ealert(1)%3C/script%3E&state=%22%3E%3Cb%3E",
    "/login?next=%22%3E%3Cscript%3E",
)
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'><svg/onload=alert(1)>{{7*7}}"
MARKS = "abc\u202e\u2066def\u200f\u0000\u001b[31m\u2028x"


class Markup(HTMLParser):
    """What a browser would run or style."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag == "script" and not str(names.get("src", "")).startswith("/static/"):
            self.found.append("inline script")
        if tag in ("style", "iframe", "object", "embed", "base", "img"):
            self.found.append(tag)
        for name, value in attrs:
            if name == "style" or name.startswith("on"):
                self.found.append(f"{tag} {name}")
            if name in ("href", "src", "action") and value and not re.match(r"/(?!/)|#", value):
                self.found.append(f"{tag} {name}={value[:40]}")


def markup_in(page: str) -> list[str]:
    """What has no place in a page."""
    parser = Markup()
    parser.feed(page)
    return parser.found


async def test_no_page_has_markup_that_its_policy_forbids(console: RunningConsole) -> None:
    await console.sign_in()
    for path in PAGES:
        page = await console.get(path)
        assert "<!doctype html>" in page.text, path
        assert markup_in(page.text) == [], path
        assert len(page.text.encode()) < 60_000, path


async def test_every_answer_has_the_headers(console: RunningConsole) -> None:
    async def told(path: str) -> None:
        headers = (await console.get(path)).headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Server"] == "consent-worker"
        assert headers["Cache-Control"] == "no-store"

    for path in ("/", "/login", "/healthz", "/nowhere"):
        await told(path)
    await console.sign_in()
    for path in ("/", "/nowhere", "/integrations/shop", "/integrations/nobody"):
        await told(path)


@pytest.mark.parametrize("text", [SCRIPT, MARKS, "w" * 60], ids=["script", "marks", "long"])
async def test_what_workers_and_adobe_say_is_text(
    tmp_path: Path, ledger: LedgerFile, text: str
) -> None:
    write_integration(tmp_path, "shop")
    name = text[:60]
    worker = MadeWorker(name)
    ledger.take(
        worker.begin(),
        worker.receipts(
            [
                *usual_receipts(3),
                receipt(name, integration=name, organization=name, xaction=name, config=name[:12]),
                receipt(outcome="dead", reason=name, integration=name, status=400),
                receipt(
                    name,
                    outcome="parked",
                    reason=name,
                    integration="shop",
                    due_at=made_now_ms() + 9_000,
                ),
            ]
        ),
        worker.state(state(lanes=[lane(words=text[:200], error=name), lane(name)], version=name)),
    )
    async with running_console(tmp_path) as console:
        await console.sign_in()
        for path in ("/", "/integrations", "/integrations/shop"):
            page = await console.get(path)
            assert page.status == 200, path
            assert markup_in(page.text) == [], path
            for mark in ("\u202e", "\u2066", "\u200f", "\x00", "\x1b", "\u2028"):
                assert mark not in page.text, path


async def test_a_long_word_of_a_query_is_cut(console: RunningConsole) -> None:
    await console.sign_in()
    page = await console.get("/integrations?q=" + "x" * 6000)
    assert page.status == 200
    assert len(page.text) < 30_000


async def test_a_form_of_many_megabytes_is_refused(console: RunningConsole) -> None:
    answer = await console.post("/login", {"key": "x" * (5 * 2**20)})
    assert answer.status == 413
    assert "too large" in answer.text


async def test_no_page_header_or_address_tells_of_a_person_or_a_secret(
    console: RunningConsole, ledger: LedgerFile, capfd: pytest.CaptureFixture[str]
) -> None:
    fill(ledger, [receipt(user="202611:" + "ab" * 16)])
    await console.sign_in()
    for path in PAGES:
        page = await console.get(path)
        told = page.text + str(page.headers)
        for secret in (
            "s3cr3t-of-the-customer",
            "api-key-of-shop",
            "viewer-key-of-the-tests-0123456789",
            "abab",
        ):
            assert secret not in told, (path, secret)
    logged = "".join(capfd.readouterr())
    assert "viewer-key" not in logged
    assert "s3cr3t" not in logged

"""What pages say of a fleet, by their texts."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from devtools.made_receipts import MadeWorker, made_now_ms, receipt, state
from tests.unit.console.console_parts import (
    OPERATOR,
    SECRET,
    RunningConsole,
    fill,
    lane,
    running_console,
    usual_receipts,
    waiting_withdrawal,
    write_integration,
)
from tests.unit.ledger.ledger_file import LedgerFile
from worker.console.context_from_settings import note_configs
from worker.console.pages.keys import WORDS
from worker.evidence.receipt import Receipt


def words_of(page: str) -> str:
    """What a person reads, in one line."""
    body = page.partition('<main id="main">')[2].partition("</main>")[0]
    text = re.sub(r"<[^>]*>", " ", body).replace("\u00a0", " ").replace("&#39;", "'")
    return re.sub(r"\s+", " ", text)


def dead(count: int, **changes: object) -> list[Receipt]:
    """Dead letters of the shop, all withdrawals."""
    usual: dict[str, Any] = {
        "outcome": "dead",
        "reason": "retries-exhausted",
        "status": 503,
        "choice": "withdrawn",
        "xaction": None,
    }
    return [receipt(**(usual | changes)) for _ in range(count)]


async def test_a_fleet_that_does_well_is_told_in_a_sentence(console: RunningConsole) -> None:
    await console.sign_in()
    page = await console.get("/")
    said = words_of(page.text)
    assert said.startswith(" All well.")
    assert "delivered 20" in said
    assert "It adds up" in said
    assert "worker-1:7" in said


@pytest.fixture
async def troubled(tmp_path: Path, ledger: LedgerFile) -> AsyncIterator[RunningConsole]:
    """The shop is failing, travel is blocked, telecom's file is bad, museum is well."""
    for name in ("shop", "travel", "museum"):
        write_integration(tmp_path, name)
    (tmp_path / "integrations/telecom.json").write_text("{}")
    waits = waiting_withdrawal("lane-full", 1_329_000)
    fill(
        ledger,
        [*usual_receipts(5), *dead(7), waits, receipt(integration="museum")],
        lanes=[
            lane(),
            lane("travel", state="blocked", error="token-refused", words="invalid_client"),
            lane("museum", state="well", error="", words=""),
        ],
    )
    async with running_console(tmp_path) as running:
        await running.sign_in(OPERATOR)
        yield running


async def test_the_worst_thing_stands_on_top_with_the_way_to_it(troubled: RunningConsole) -> None:
    page = await troubled.get("/")
    said = words_of(page.text)
    assert said.startswith(
        " shop is failing: Adobe answers 5xx. 2 more integrations need you. Open shop"
    )
    assert "Service Unavailable" in said
    assert re.search(r"Oldest unhonoured withdrawal 22 min.* travel, which is blocked", said)
    assert "5xx. For 11 min ." in said
    assert "Withdrawals given up 7" in said
    assert (await troubled.get("/worst")).way == "/integrations/shop"
    assert "icon-failing" in page.text.partition("data-well")[0]


async def test_integrations_are_sorted_by_trouble_and_filtered_by_links(
    troubled: RunningConsole,
) -> None:
    page = await troubled.get("/integrations")
    assert words_of(page.text).startswith(" 3 of 4 integrations need you.")
    rows = re.findall(r'<a href="/integrations/([a-z]+)"><bdi>', page.text)
    assert rows == ["shop", "travel", "telecom", "museum"]
    for link in ("/integrations?state=blocked", "/integrations?q=TRAV"):
        only = await troubled.get(link)
        assert re.findall(r'<a href="/integrations/([a-z]+)"><bdi>', only.text) == ["travel"]
    nothing = await troubled.get("/integrations?q=nobody")
    assert "No integration matches" in nothing.text


async def test_what_was_given_up_is_named_when_all_goes_well_again(
    tmp_path: Path, ledger: LedgerFile
) -> None:
    for name in ("museum", "shop"):
        write_integration(tmp_path, name)
    lanes = [lane(name, state="well", error="", words="") for name in ("museum", "shop")]
    some = [*usual_receipts(5), *dead(7), *dead(2, choice="given"), receipt(integration="museum")]
    fill(ledger, some, lanes=lanes)
    async with running_console(tmp_path) as console:
        await console.sign_in()
        page = await console.get("/")
        said = words_of(page.text)
        given_up = " 7 withdrawals were given up: see which are still needed."
        assert said.startswith(f"{given_up} All else goes well now")
        assert (await console.get("/worst")).way == "/dead-letters?kind=withdrawn"
        page = await console.get("/integrations")
        said = words_of(page.text)
        assert said.startswith(given_up)
        assert "dead 1" in said, "the filter calls them as the overview does"
        assert "Nothing is wrong with it now; some of its events were given up before." in said
        only = await console.get("/integrations?state=dead")
        assert re.findall(r'<a href="/integrations/([a-z]+)"><bdi>', only.text) == ["shop"]
        rows = re.findall(r'<a href="/integrations/([a-z]+)"><bdi>', page.text)
        assert rows == ["shop", "museum"], "what has dead letters comes first"
        assert "well now, 9 dead" in page.text
        page = await console.get("/integrations/shop")
        assert "shop is well now, 9 dead." in words_of(page.text)
        assert "See its dead letters: replay what is still needed" in page.text
        assert '<span class="good">' not in page.text.partition("<h1>")[2].partition("</h1>")[0]


async def test_an_outage_that_comes_again_and_again_is_told_in_spells(
    tmp_path: Path, ledger: LedgerFile
) -> None:
    write_integration(tmp_path, "shop")
    minutes = [50, 30, 29, 27, 10]
    went = [receipt(at=made_now_ms() - 60_000 * one) for one in (40, 20)]
    failed: dict[str, Any] = {
        "outcome": "retried",
        "reason": "adobe-unavailable",
        "status": 503,
        "xaction": None,
    }
    tries = [receipt(at=made_now_ms() - 60_000 * one, due_at=1, **failed) for one in minutes]
    fill(ledger, [*tries, *went, *usual_receipts(3)], lanes=[lane(since=made_now_ms() - 7_500)])
    async with running_console(tmp_path) as console:
        await console.sign_in()
        said = words_of((await console.get("/integrations/shop")).text)
        assert "Tries failed in 3 spells within the last hour." in said


async def test_one_integration_says_why_and_what_to_do(troubled: RunningConsole) -> None:
    said = words_of((await troubled.get("/integrations/travel")).text)
    assert "travel is blocked: Adobe refuses the client id or its secret." in said
    file = troubled.context.settings.integrations / "travel.json"
    assert f"into authentication.client_secret of {file} , or where that points to" in said
    assert "by consent-worker integrations check travel ." in said
    assert "Waiting 1 held until it is mended" in said
    assert re.search(r"Last receipt (now|\d+ s ago) ?\.", said)
    assert "ask the producer" not in said
    assert "Oldest unhonoured withdrawal 22 min" in said
    said = words_of((await troubled.get("/integrations/shop")).text)
    assert "shop is failing: Adobe answers 5xx." in said
    assert "What to do. Look at Adobe's status page" in said
    assert "retries-exhausted" in said
    assert "Requests 1 of 8 allowed" in said
    assert "lives 5 h" in said
    assert (await troubled.get("/integrations/nobody")).status == 404


async def test_the_configuration_is_shown_without_its_secrets_and_with_what_changed(
    troubled: RunningConsole,
) -> None:
    before = await troubled.get("/integrations/shop")
    assert "this console has seen no other" in before.text
    home = troubled.context.settings.integrations.parent
    path = write_integration(home, "shop", limits={"requests_in_flight": 3})
    changed = json.loads(path.read_text())
    changed["authentication"]["client_secret"] = "another-secret-of-the-shop"
    path.write_text(json.dumps(changed))
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime + 5))
    assert troubled.context.integrations.refresh()
    note_configs(troubled.context)
    page = await troubled.get("/integrations/shop")
    lines = re.findall(r'<li class="(del|add)"[^>]*>([^<]*)</li>', page.text)
    assert [kind for kind, text in lines if "client_secret" in text] == ["del", "add"]
    assert any("requests_in_flight" in text for kind, text in lines if kind == "add")
    for secret in (SECRET, "another-secret-of-the-shop", "api-key-of-shop"):
        assert secret not in page.text


async def test_what_changed_last_is_that_a_file_was_put_back(troubled: RunningConsole) -> None:
    home = troubled.context.settings.integrations.parent
    path = home / "integrations/shop.json"
    first, at = path.read_text(), path.stat().st_mtime
    write_integration(home, "shop", limits={"requests_in_flight": 3})
    changed = path.read_text()
    for text, written_at in ((changed, at + 5), (first, at)):  # it comes back with its old time
        path.write_text(text)
        os.utime(path, (written_at, written_at))
        assert troubled.context.integrations.refresh()
        note_configs(troubled.context)
    page = await troubled.get("/integrations/shop")
    lines = re.findall(r'<li class="(del|add)"[^>]*>([^<]*)</li>', page.text)
    assert [kind for kind, text in lines if "requests_in_flight" in text and "3" in text] == ["del"]


async def test_a_check_is_asked_for_once_and_told_line_by_line(troubled: RunningConsole) -> None:
    form = {"csrf": await troubled.csrf()}
    answer = await troubled.post("/integrations/shop/check", form)
    assert answer.status == 303
    page = await troubled.get("/integrations/shop")
    said = words_of(page.text)
    assert "1 wrong, 0 not judged" in said
    assert page.text.count('id="check"') == 1
    assert page.text.index('id="check"') < page.text.index("What happened")
    (version,) = re.findall(r"by config (\w{6})", said)
    assert f"version {version}" in said, "the one in force, so its secrets are those of now"
    assert "has no field `_northwind`" in said
    unknown = await troubled.post("/integrations/telecom/check", form)
    assert unknown.status == 404, "there is no valid file to check by"


async def test_a_check_leads_back_to_the_period_that_was_chosen(troubled: RunningConsole) -> None:
    page = await troubled.get("/integrations/shop?period=day")
    action = "/integrations/shop/check?period=day"
    assert f'action="{action}"' in page.text
    answer = await troubled.post(action, {"csrf": await troubled.csrf()})
    assert answer.way == "/integrations/shop?period=day#check"


async def test_an_integration_without_receipts_says_whom_to_ask(
    tmp_path: Path, ledger: LedgerFile
) -> None:
    for name in ("shop", "press"):
        write_integration(tmp_path, name)
    fill(ledger, [receipt(at=made_now_ms() - 7_300_000)])
    async with running_console(tmp_path) as console:
        await console.sign_in()
        asked = "What is missing here never reached the queue, or no worker took it"
        said = words_of((await console.get("/integrations/shop")).text)
        assert "Last receipt 2 h ago ." in said
        assert asked in said
        said = words_of((await console.get("/integrations/press")).text)
        assert "No receipt of it is in the ledger. " + asked in said


async def test_periods_are_links_and_an_unknown_one_is_an_hour(console: RunningConsole) -> None:
    await console.sign_in()
    for period in ("hour", "day", "week", "century", "%00", "x" * 3000):
        page = await console.get(f"/?period={period}")
        assert page.status == 200
        current = re.findall(r'<a [^>]*aria-current="true">([^<]*)</a>', page.text)
        known = {"day": "last day", "week": "last week"}
        assert current == [known.get(period, "last hour")]
        assert "Receipts a second now" in page.text or "No receipts now" in page.text


async def test_a_day_is_told_by_the_hour_and_from_where_the_ledger_begins(
    console: RunningConsole,
) -> None:
    await console.sign_in()
    for path in ("/?period=day", "/integrations/shop?period=day"):
        said = words_of((await console.get(path)).text)
        assert re.search(r"No receipts before [\d-]+ [\d:]+ UTC: the ledger begins then\.", said)
        table = said.partition("Receipts a second, the average of each hour")[2]
        assert re.search(r"\d\d-\d\d \d\d:\d\d\u2013\d\d:\d\d \u2013 ", table), "not a zero"
        assert "each point is the average of 15 min" in said
    assert "Receipts a second, last 15 min" in words_of((await console.get("/?period=day")).text)


async def test_ten_thousand_integrations_are_paged(tmp_path: Path, ledger: LedgerFile) -> None:
    count = 10_000
    worker = MadeWorker()
    ledger.take(worker.begin())
    for start in range(0, count, 500):
        some = [receipt(integration=f"c-{n:05d}") for n in range(start, start + 500)]
        ledger.take(worker.receipts(some))
    lanes = [lane(f"c-{n:05d}") for n in range(0, 100)]
    ledger.take(worker.state(state(lanes=lanes)))
    async with running_console(tmp_path) as console:
        await console.sign_in()
        page = await console.get("/integrations")
        assert page.status == 200
        assert len(page.text.encode()) < 150_000
        rows = re.findall(r'<a href="/integrations/(c-\d+)"><bdi>', page.text)
        assert rows == [f"c-{n:05d}" for n in range(50)]
        last = await console.get("/integrations?page=200")
        rows = re.findall(r'<a href="/integrations/(c-\d+)"><bdi>', last.text)
        assert rows[-1] == "c-09999"
        beyond = await console.get("/integrations?page=999999999999999")
        assert beyond.status == 200
        overview = await console.get("/")
        assert len(overview.text.encode()) < 60_000


async def test_live_says_at_once_how_the_fleet_does_and_ends_with_the_session(
    console: RunningConsole,
) -> None:
    await console.sign_in()
    token = await console.csrf()
    async with console.http.get(console.url + "/live") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        assert await response.content.readline() == b"event: beat\n"
        beat = json.loads((await response.content.readline()).removeprefix(b"data: "))
        assert beat["sentence"] == "All well."
        assert beat["is_urgent"] is False
        await console.post("/logout", {"csrf": token})
        assert b"All well" not in await response.content.read()


async def test_secrets_that_only_the_workers_have_make_no_file_bad(
    tmp_path: Path, ledger: LedgerFile
) -> None:
    credentials = {
        "client_id": "client",
        "client_secret": "${SECRET_OF_THE_SHOP}",
        "api_key": "file:/run/secrets/api-key-of-the-shop",
    }
    for name in ("shop", "travel"):
        write_integration(tmp_path, name, authentication=credentials)
    fill(ledger, usual_receipts(), lanes=[lane(state="well", error="", words="")])
    async with running_console(tmp_path) as console:
        await console.sign_in()
        said = words_of((await console.get("/")).text)
        assert "The file of travel is not valid: authentication.client_secret" in said
        assert "The file of shop" not in said
        rows = words_of((await console.get("/integrations")).text)
        assert "travel needs you, of 2 integrations." in rows
        assert "Check now" not in (await console.get("/integrations/shop")).text


async def test_the_links_of_periods_keep_the_filter(console: RunningConsole) -> None:
    await console.sign_in()
    for path in ("/integrations", "/integrations?state=well", "/", "/integrations/shop"):
        page = (await console.get(path)).text
        links = re.findall(r'<a href="([^"]*)" data-key="2"', page)
        said = f"{path}{'&amp;' if '?' in path else '?'}period=day"
        assert links == [said]
        assert (await console.get(said.replace("&amp;", "&"))).status == 200


async def test_a_letter_that_was_replayed_is_counted_as_none(
    tmp_path: Path, ledger: LedgerFile
) -> None:
    write_integration(tmp_path, "shop")
    again = receipt("ev-1", delivery=1, choice="withdrawn")
    first = dead(1)[0]._replace(event="ev-1", updated_at=again.updated_at)
    fill(ledger, [first, *dead(2), again], lanes=[lane()])
    async with running_console(tmp_path) as console:
        await console.sign_in()
        said = words_of((await console.get("/")).text)
        assert "12 in hand, 2 dead" in said
        assert "lives that ended dead 3" in said
        assert "Dead letters 2 2 of them withdrawals" in words_of(
            (await console.get("/integrations/shop")).text
        )
        row = (await console.get("/integrations")).text
        assert '<a href="/dead-letters?integration=shop">2</a>' in row


async def test_the_page_of_the_keys_explains_words_as_the_glossary_does(
    console: RunningConsole,
) -> None:
    await console.sign_in()
    said = words_of((await console.get("/keys")).text)
    assert "download the file for the auditor; it stands in the trail" in said
    glossary = (Path(__file__).parents[3] / "docs/architecture.md").read_text()
    for word, meaning in WORDS:
        assert f"{word} {meaning}" in said
        assert word == "begun" or f"| {word} | {meaning} |" in glossary


async def test_the_navigation_counts_the_letters_of_all_groups(
    console: RunningConsole, ledger: LedgerFile
) -> None:
    dead = [
        receipt(outcome="dead", reason="adobe-rejected", status=400 + n, xaction=None)
        for n in range(30)
    ]
    fill(ledger, dead)
    console.forget()
    await console.sign_in()
    page = (await console.get("/")).text
    assert '<span class="n" id="letters-there">30</span>' in page
    assert "hover for the exact time" in page

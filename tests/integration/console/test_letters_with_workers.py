"""From a letter that a real worker gave up to its delivery and its proof, by the console alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from devtools.live_console import KEYS, LiveConsole
from devtools.stack import event
from devtools.waiting import wait_until

PERSON = "person-0@shop.example"


class _Browser:
    """Gets pages and sends forms, as an operator, and sees that nobody's id is anywhere."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def get(self, path: str) -> str:
        async with self._http.get(path) as answer:
            text = await answer.text()
            assert answer.status == 200, text
            assert PERSON not in text
            return text

    async def post(self, path: str, **form: str) -> tuple[str, str]:
        """Where it led, and the page there."""
        csrf = (await self.get("/keys")).partition('data-csrf="')[2].partition('"')[0]
        async with self._http.post(path, data={"csrf": csrf} | form) as answer:
            text = await answer.text()
            assert answer.status == 200, text
            assert PERSON not in text
            assert PERSON not in str(answer.url)
            return answer.url.path, text

    async def until(self, path: str, is_told: Callable[[str], bool], what: str) -> str:
        page = ""

        async def told() -> bool:
            nonlocal page
            page = await self.get(path)
            return is_told(page)

        await wait_until(told, what, 60)
        return page


@pytest.mark.timeout(240)
async def test_a_letter_is_found_understood_replayed_and_proved(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    async with LiveConsole(broker_url, namespace) as live:
        stack = live.stack
        stack.add_integration("shop")
        stack.sandbox.state.faults.inject(target="collection", kind="status", status=400)
        stack.start_worker()
        await stack.wait_until_consuming()
        bodies = [
            event("org-shop", f"person-{n}@shop.example", event_id=f"ev-{n}", enabled=n >= 4)
            for n in range(12)
        ]
        await stack.publish([json.dumps(one).encode() for one in bodies])
        await stack.wait_for_depth("dead-letters", 12)
        stack.sandbox.state.faults.clear()
        newer = event("org-shop", PERSON, event_id="ev-99")
        await stack.publish([json.dumps(newer).encode()])
        await wait_until(lambda: PERSON in stack.delivered("shop"), "the newer choice")
        await live.start()
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(live.url, cookie_jar=jar) as http:
            async with http.post("/login", data={"key": KEYS["operator"]}) as answer:
                assert answer.status == 200
            browser = _Browser(http)
            page = await browser.until(
                "/dead-letters", lambda text: "4 of them withdraw" in text, "letters and receipts"
            )
            (group,) = set(re.findall("/dead-letters/groups/([0-9a-f]{8})", page))
            preview = f"/dead-letters/preview/replay?group={group}"
            page = await browser.until(
                preview, lambda text: '<td class="num">11</td>' in text, "what a replay comes to"
            )
            counted = re.findall(r'<td class="num">(\d+)</td><td class="num">(\d+)</td>', page)
            assert counted == [("11", "3"), ("1", "1"), ("0", "0"), ("0", "0"), ("12", "4")]
            ticket = re.findall('name="ticket" value="([^"]+)"', page)[0]
            act, _ = await browser.post("/dead-letters/acts", ticket=ticket, canaries="3")
            needless = "not needed: Adobe has a newer choice of the person"
            ends = rf"<span>delivered</span><b>11</b>.*<span>{needless}</span><b>1</b>"
            page = await browser.until(
                act, lambda text: re.search(ends, text, re.DOTALL) is not None, "what became of all"
            )
            assert "Replayed 12 letters: 11 delivered, 1 not needed, 0 dead again." in page
            assert len(stack.delivered("shop")) == 12
            _, page = await browser.post("/find", q=PERSON)
            assert "3 choices of one person" in page, "the letter, its replay, and the newer one"
            await browser.until("/trail", lambda text: "12 replayed" in text, "the trail")
            links = re.findall("/lives/[0-9a-f]{32}", page)
            file = tmp_path / "auditor.jsonl"
            file.write_text(await browser.get(f"{links[0]}/receipts.jsonl"))
        code, out, err = await stack.command("receipts", "verify", str(file))
        assert (code, "no manipulation" in out) == (0, True), out + err
        file.write_text(file.read_text().replace('\\"delivered\\"', '\\"skipped\\"'))
        code, out, _ = await stack.command("receipts", "verify", str(file))
        assert (code, "MANIPULATION" in out) == (1, True)
        assert PERSON not in live.log


@pytest.mark.timeout(240)
async def test_letters_that_receipts_call_otherwise_have_one_group_and_their_life(
    broker_url: str, namespace: str
) -> None:
    """Of an integration that nobody knows a receipt has no name; of what was not read, the body."""
    async with LiveConsole(broker_url, namespace, MAX_EVENT_BYTES=2_000) as live:
        stack = live.stack
        stack.add_integration("shop")
        stack.start_worker()
        await stack.wait_until_consuming()
        for n, changes in ((0, {}), (1, {"padding": "x" * 2_000})):
            body = event("org-shop", PERSON, event_id=f"ev-{n}") | changes
            headers = {"consent-integration": "ghost"} if n == 0 else {}
            await stack.publish([json.dumps(body).encode()], headers=headers)
        await stack.wait_for_depth("dead-letters", 2)
        await live.start()

        async def there() -> bool:
            _, out, _ = await stack.command("status", "--json")
            return len(json.loads(out)["dead_letter_groups"]) == 2

        await wait_until(there, "receipts are read", 60)
        _, out, _ = await stack.command("status", "--json")
        by_receipts = {one["group"] for one in json.loads(out)["dead_letter_groups"]}
        _, out, _ = await stack.command("dead-letters", "groups", "--json")
        assert {one["group"] for one in json.loads(out)} == by_receipts
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(live.url, cookie_jar=jar) as http:
            async with http.post("/login", data={"key": KEYS["operator"]}) as answer:
                assert answer.status == 200
            browser = _Browser(http)
            page = await browser.until("/dead-letters", lambda text: "2 dead letters" in text, "it")
            groups = set(re.findall("/dead-letters/groups/([0-9a-f]{8})", page))
            assert groups == by_receipts
            for group in groups:
                page = await browser.until(
                    f"/dead-letters/groups/{group}", lambda text: "/lives/" in text, "its life"
                )
                await browser.get(re.findall("/lives/[0-9a-f]{32}", page)[0])
                letter = await browser.get(re.findall('/dead-letters/letters/[^"/]+', page)[0])
                await browser.get(re.findall("/lives/[0-9a-f]{32}", letter)[0])
            page = await browser.get("/dead-letters/groups/00000000")
            assert "No letter of this group was in the queue." in page
            assert "replayed or discarded" not in page

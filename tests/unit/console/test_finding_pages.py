"""Find and one life: what became of a choice, and nobody's id anywhere."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from pydantic import SecretStr

from devtools.made_receipts import made_now_ms, receipt
from tests.unit.cli.conftest import NOBODY
from tests.unit.console.console_parts import (
    RunningConsole,
    fill,
    lane,
    running_console,
    write_integration,
)
from tests.unit.ledger.ledger_file import LedgerFile
from worker.evidence.act import Act
from worker.evidence.exported_file import verify_file
from worker.evidence.signing import Keyring
from worker.evidence.user_hash import user_hashes
from worker.ledger.stored_receipts import key_of_life
from worker.settings import WorkerSettings
from worker.store_choice import lasting_store

ANNA = "anna.meier@northwind.example"
AT = made_now_ms() - 600_000


async def _month_key(settings: WorkerSettings) -> str:
    """What a receipt calls Anna, by a key that the workers' state keeps."""
    store = lasting_store(settings, None, is_worker=True)
    assert store is not None
    try:
        await store.admit()
        await store.month_keys.key_of("202612", 86_400)
        key = await store.month_keys.key_of("202611", 86_400)
        return user_hashes(ANNA, {"202611": key})[0]
    finally:
        await store.close()


@pytest.fixture
async def console(tmp_path: Path, ledger: LedgerFile) -> AsyncIterator[RunningConsole]:
    """Anna withdrew, and the choice is dead at the shop and was delivered at the press."""
    write_integration(tmp_path, "shop")
    state_url = SecretStr(f"sqlite://{tmp_path}/state.sqlite")
    options: dict[str, Any] = {"state_url": state_url, "amqp_url": SecretStr(NOBODY)}
    async with running_console(tmp_path, **options) as running:
        user = await _month_key(running.context.settings)
        usual = {"user": user, "choice": "withdrawn", "event_at": AT}
        usual["attributes"] = {"_shop.newsletter": False}
        tries = [
            receipt(
                "ev-9",
                outcome="retried",
                reason="timeout",
                at=AT + n,
                attempt=n,
                due_at=AT,
                **usual,
            )
            for n in (1, 2)
        ]
        dead = receipt("ev-9", outcome="dead", reason="retries-exhausted", at=AT + 9, **usual)
        press = receipt("ev-9", integration="press", at=AT + 500, **usual)
        fill(ledger, [*tries, dead, press, receipt("ev-8")])
        await running.sign_in()
        yield running


async def _find(console: RunningConsole, text: str) -> str:
    answer = await console.post("/find", {"q": text, "csrf": await console.csrf()})
    assert answer.status in (200, 400)
    assert "Location" not in answer.headers
    assert ANNA not in answer.text
    return answer.text


@pytest.mark.parametrize("text", ["ev-9", ANNA, f"  {ANNA} "])
async def test_an_event_and_a_person_are_found_by_one_field(
    console: RunningConsole, text: str
) -> None:
    page = await _find(console, text)
    assert f"2 choices of {'this event' if text == 'ev-9' else 'one person'}" in page
    assert "<b>withdrew</b>" in page
    assert "retries-exhausted" in page
    assert ("202611:" in page) is (text != "ev-9"), "what the receipts call her"
    assert "202612:" not in page, "no receipt calls her by that month's key"
    assert '<h2 id="found" tabindex="-1" autofocus>' in page
    links = set(re.findall(r'href="(/lives/[0-9a-f]{32})"', page))
    assert len(links) == 2
    for link in links:
        assert (await console.get(link)).status == 200


async def test_what_is_not_found_says_what_the_ledger_can_not_know(console: RunningConsole) -> None:
    page = await _find(console, "nobody@northwind.example")
    assert "No receipt of it is in the ledger." in page
    assert "the ledger has receipts since" in page
    assert "The whole id is needed, upper and lower case as they were sent" in page
    assert "ask the producer" in page
    assert "not by Didomi\u2019s own <code>user.id</code>" in page
    for text, sentence in (
        ("", "Type the id of an event or of a person."),
        ("x" * 1025, "This has 1,025 characters, and an id 1,024 at most."),
    ):
        assert sentence in await _find(console, text)


async def test_with_a_state_in_memory_the_page_says_why_nobody_is_found(
    tmp_path: Path, ledger: LedgerFile
) -> None:
    fill(ledger, [receipt("ev-1")])
    async with running_console(tmp_path, amqp_url=SecretStr(NOBODY)) as console:
        await console.sign_in()
        page = await _find(console, ANNA)
        assert "the workers&#39; state is in memory" in page
        assert "1 choice of this event" in await _find(console, "ev-1")


async def test_a_life_is_told_step_by_step_with_its_proof(console: RunningConsole) -> None:
    dead = key_of_life(receipt("ev-9")).hex()
    page = (await console.get(f"/lives/{dead}")).text
    for words in (
        "Not honoured: given up after 2 tries.",
        "Tries 1 to 2 failed",
        "Given up: a dead letter",
        "What to do.",
        "withdrawn",
        "3 from 1 process",
        "not signed",
        "Unhonoured",
        "intact, not signed<span",
        "for a signature see <code>CONSENT_WORKER_RECEIPTS_SECRET</code>",
        "Download the file for the auditor",
    ):
        assert words in page, words
    file = await console.get(f"/lives/{dead}/receipts.jsonl")
    assert file.headers["Content-Type"] == "application/x-ndjson"
    assert "attachment" in file.headers["Content-Disposition"]
    verification, findings = verify_file(file.text.encode().splitlines(), Keyring())
    assert findings == []
    assert verification.messages == 1
    rows = [row for line in file.text.splitlines() for row in orjson.loads(line).get("rows", ())]
    assert sum("row" in row for row in rows) == 3, "nobody else's receipts are in the file"


@pytest.mark.parametrize(
    "path", ["/lives/x", "/lives/" + "0" * 31, "/lives/..%2f", "/lives/" + "0" * 32]
)
@pytest.mark.parametrize("more", ["", "/receipts.jsonl"])
async def test_a_life_that_is_not_there_is_told(
    console: RunningConsole, path: str, more: str
) -> None:
    assert (await console.get(path + more)).status == 404


async def test_a_person_is_in_no_log(
    console: RunningConsole, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    await _find(console, ANNA)
    async with asyncio.timeout(10):
        await console.get(f"/find?q={ANNA}")
    said = caplog.text + "".join(capfd.readouterr())
    assert ANNA not in said
    assert "northwind" not in said


async def test_a_life_that_was_replayed_leads_to_its_replay(
    tmp_path: Path, ledger: LedgerFile
) -> None:
    usual = {"choice": "withdrawn", "event_at": AT, "attributes": {"_shop.newsletter": False}}
    gone = {"outcome": "dead", "reason": "adobe-rejected", **usual}
    lives = [
        receipt("ev-9", at=AT + 9, **gone),
        receipt("ev-9", at=AT + 90, delivery=1, **gone),
        receipt("ev-9", at=AT + 900, delivery=2, **usual),
        receipt("ev-8", at=AT + 9, **gone),
    ]
    fill(ledger, lives)
    async with running_console(tmp_path, amqp_url=SecretStr(NOBODY)) as console:
        await console.sign_in()
        first, second, third, other = (f"/lives/{key_of_life(one).hex()}" for one in lives)
        page = (await console.get(first)).text
        assert "Replayed: Adobe has accepted the replay." in page
        assert second in page
        assert third in page
        for alarm in ("Not honoured", "What to do.", "Unhonoured"):
            assert alarm not in page
            assert alarm in (await console.get(other)).text
        assert "Adobe has accepted it" in (await console.get(third)).text
        for path in (first, third):
            file = await console.get(f"{path}/receipts.jsonl")
            lines = map(orjson.loads, file.text.splitlines())
            rows = [row for line in lines for row in line.get("rows", ()) if "row" in row]
            assert len(rows) == 3, "all deliveries, and nobody else's"
        found = await _find(console, "ev-9")
        assert found.count("dead, then replayed") == 2
        assert "replay 1" in found
        assert "replay 2" in found


@pytest.mark.parametrize(
    ("typed", "about"),
    [(ANNA, "by a person\u2019s id"), ("ev-99", "by an id that is no known event\u2019s")],
)
async def test_the_trail_calls_a_mistyped_event_no_person(
    console: RunningConsole, monkeypatch: pytest.MonkeyPatch, typed: str, about: str
) -> None:
    noted: list[Act] = []
    monkeypatch.setattr(console.letters.trail, "note", noted.append)
    await _find(console, typed)
    assert [one.about for one in noted] == [about]


async def test_a_superseded_life_names_the_newer_choice_and_a_blocked_one_adobes_words(
    tmp_path: Path, ledger: LedgerFile
) -> None:
    usual = {"user": "202611:" + "a" * 32, "attributes": {"_shop.newsletter": False}}
    old = receipt("ev-1", outcome="skipped", reason="superseded", event_at=AT, **usual)
    new = receipt("ev-2", event_at=AT + 5_000, **usual)
    elsewhere = receipt("ev-3", event_at=AT + 9_000, **(usual | {"attributes": {"_shop.b": True}}))
    held = receipt(
        "ev-4",
        outcome="parked",
        reason="blocked",
        attempt=0,
        event_at=AT,
        due_at=made_now_ms() + 900_000,  # AT is of when the tests were gathered
    )
    words = {"state": "blocked", "error": "token-refused", "words": "invalid_client"}
    fill(ledger, [old, new, elsewhere, held], lanes=[lane("shop", **words)])
    async with running_console(tmp_path, amqp_url=SecretStr(NOBODY)) as console:
        await console.sign_in()
        page = (await console.get(f"/lives/{key_of_life(old).hex()}")).text
        assert f'<a href="/lives/{key_of_life(new).hex()}">The newer choice</a>' in page
        page = (await console.get(f"/lives/{key_of_life(held).hex()}")).text
        assert "Held until its integration is mended; not tried yet." in page
        assert re.search("Next look <time .*</time>; it is held again until its integration", page)
        assert "comes back" not in page
        assert "authentication.client_secret</code> of the file of <code>shop</code>" in page
        assert "invalid_client" in page


@pytest.mark.parametrize(
    "text", ["ev\u202e-9", "an\u00adna\u00a0meier", "a\nb", "a\x00b", "\udcff", "x" * 1024]
)
async def test_an_id_of_any_characters_is_looked_for(console: RunningConsole, text: str) -> None:
    form = {"q": text.encode(errors="surrogateescape"), "csrf": await console.csrf()}
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    async with console.http.post(
        f"{console.url}/find", data=urlencode(form), headers=kind
    ) as answer:
        assert answer.status == 200
        assert "No receipt of it is in the ledger." in await answer.text()

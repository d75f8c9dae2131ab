"""Explain: what each integration would send, and which lines it comes from."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.unit.cli.conftest import NOBODY
from tests.unit.console.console_parts import (
    SECRET,
    RunningConsole,
    fill,
    lane,
    running_console,
    write_integration,
)
from tests.unit.ledger.ledger_file import LedgerFile
from worker.console.console_database import SeenConfig
from worker.console.context_from_settings import note_configs
from worker.console.sample_events import SAMPLE

EVENT: dict[str, Any] = {
    "id": "ev-0001",
    "organization_id": "northwind",
    "created_at": "2026-03-02T08:15:30.120Z",
    "status": "confirmed",
    "user": {"id": "7b1d2c34", "organization_user_id": "lena@northwind.example"},
    "consents": {"purposes": [{"id": "newsletter", "enabled": False}]},
}


@pytest.fixture
async def console(tmp_path: Path, ledger: LedgerFile) -> AsyncIterator[RunningConsole]:
    """Two integrations of northwind, and one of somebody else."""
    mapping = {"id": "_northwind.news", "value": "consents_purposes_newsletter_enabled"}
    write_integration(tmp_path, "shop", mappings=[mapping], payload_mode="upsert")
    write_integration(tmp_path, "off", enabled=False)
    write_integration(tmp_path, "other", organization_id="elsewhere")
    fill(ledger, [])
    async with running_console(tmp_path, amqp_url=SecretStr(NOBODY)) as running:
        await running.sign_in()
        yield running


async def _explain(console: RunningConsole, event: str) -> tuple[int, str]:
    answer = await console.post("/explain", {"event": event, "csrf": await console.csrf()})
    return answer.status, answer.text


async def test_the_lines_are_lit_on_both_sides(console: RunningConsole) -> None:
    status, page = await _explain(console, json.dumps(EVENT))
    assert status == 200
    assert "would send 1 attribute" in page
    lit = page.count('<li class="lit" data-tag="1">')
    assert lit == 3, "the id and the choice in the event, and the message"
    assert page.count('data-tag="C"') >= 2
    assert "1 integration is of other organizations" in page
    assert "disabled" in page
    for secret in ("lena@northwind", "7b1d2c34", SECRET):
        assert secret not in page, secret


@pytest.mark.parametrize(
    ("event", "status", "words"),
    [
        ("", 400, "Paste an event first"),
        ("{", 400, "This is no JSON (line 1"),
        ('{"type": "x"}', 400, "It would become a dead letter, unknown-type"),
        (json.dumps(EVENT | {"organization_id": "nobody"}), 200, "Nobody would send anything"),
        (json.dumps(EVENT | {"consents": {}}), 200, "nothing-mapped"),
        (json.dumps(EVENT | {"user": {}}), 200, "guest"),
        ('"<script>alert(1)</script>"', 400, "dead letter"),
        (json.dumps(EVENT | {"id": "<script>alert(1)</script>"}), 200, "would send 1"),
        ("[" * 5000, 400, "no JSON"),
        (json.dumps(EVENT | {"x" * 200_000: "y" * 200_000}), 200, "would send 1"),
        ("\u202e{}", 400, "no JSON"),
    ],
)
async def test_whatever_is_pasted_is_answered_and_never_echoed(
    console: RunningConsole, event: str, status: int, words: str
) -> None:
    got, page = await _explain(console, event)
    assert got == status
    assert words in page
    assert "<script>alert" not in page
    assert len(page) < 60_000


async def test_a_mistake_leaves_what_was_pasted_in_the_field(console: RunningConsole) -> None:
    pasted = '\n{"id": "</textarea>", '
    status, page = await _explain(console, pasted)
    assert status == 400
    field = html.unescape(re.findall(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)[0])
    assert field == f"\n{pasted}", "a browser leaves out the first line end"
    later = (await console.get("/explain")).text
    assert "&lt;/textarea&gt;" not in later, "it is kept nowhere"


def test_the_sample_is_the_example() -> None:
    assert json.loads(Path("examples/event.json").read_text()) == SAMPLE


@pytest.mark.parametrize("shape", ["bare", "envelope"])
async def test_a_sample_is_filled_in_and_can_be_explained(
    console: RunningConsole, shape: str
) -> None:
    form = {"event": "", "sample": shape, "integration": "other", "csrf": await console.csrf()}
    page = (await console.post("/explain", form)).text
    assert "for <code><bdi>elsewhere</bdi></code>" in page
    form = {"event": "", "sample": shape, "csrf": await console.csrf()}
    page = (await console.post("/explain", form)).text
    found = re.findall(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)[0]
    status, page = await _explain(console, html.unescape(found))
    assert (status, "northwind" in page) == (200, True)


@pytest.mark.parametrize(
    ("state", "words"),
    [("blocked", "so it would wait instead"), ("failing", "failing</span> now:")],
)
async def test_that_an_integration_is_in_trouble_is_told_beside_what_it_would_send(
    console: RunningConsole, ledger: LedgerFile, state: str, words: str
) -> None:
    fill(ledger, [], lanes=[lane("shop", state=state)])
    console.forget()
    _, page = await _explain(console, json.dumps(EVENT))
    assert f"would send 1, {state} now" in page
    assert words in page


async def test_an_event_of_nobody_says_whose_integrations_are_here(console: RunningConsole) -> None:
    _, page = await _explain(console, json.dumps(EVENT | {"organization_id": "nobody"}))
    assert "The event is of organization <code><bdi>nobody</bdi></code>" in page
    assert "<code><bdi>elsewhere</bdi></code>, <code><bdi>northwind</bdi></code>" in page
    _, page = await _explain(console, json.dumps(EVENT))
    assert "Integrations here are of" not in page


NEWS = {"id": "_northwind.news", "value": "consents_purposes_newsletter_enabled"}
OTHER = {"id": "_northwind.other", "value": "consents_purposes_newsletter_enabled"}


def _rewrite(console: RunningConsole, path: Path, **changes: Any) -> None:
    """Another version of a file is in force, and the console has seen it."""
    before = path.stat().st_mtime
    write_integration(path.parent.parent, path.stem, payload_mode="upsert", **changes)
    os.utime(path, (before + 60, before + 60))
    console.context.integrations.load()
    note_configs(console.context)


def _offered(page: str) -> list[str]:
    return re.findall('<option value="([^"]+)"', page)


async def _by(console: RunningConsole, config: str) -> tuple[int, str]:
    form = {"event": json.dumps(EVENT), "config": config, "csrf": await console.csrf()}
    answer = await console.post("/explain", form)
    return answer.status, answer.text


async def test_an_event_is_explained_by_the_version_before(
    console: RunningConsole, tmp_path: Path
) -> None:
    path = tmp_path / "integrations/shop.json"
    assert _offered((await console.get("/explain")).text) == []
    before = console.context.integrations.get("shop")
    assert before is not None
    _rewrite(console, path, mappings=[OTHER])
    page = (await console.get("/explain?integration=shop")).text
    (config,) = _offered(page)
    assert f"version {before.version}" in page
    status, page = await _by(console, config)
    assert status == 200
    assert "What is in force now would do something else" in page
    assert f"shop, version {before.version}" in page
    assert page.index("_northwind.news") < page.index("_northwind.other")
    assert page.count('<li class="lit" data-tag="1">') == 6, "both are lit"
    for secret in ("lena@northwind", "7b1d2c34", SECRET, "api-key-of-shop"):
        assert secret not in page, secret
    integration = (await console.get("/integrations/shop")).text
    assert "/explain?integration=shop" in integration
    assert (
        "This console has seen no other version"
        in (await console.get("/explain?integration=other")).text
    )


async def test_what_would_do_the_same_is_told_and_a_changed_secret_is_no_other_version(
    console: RunningConsole, tmp_path: Path
) -> None:
    path = tmp_path / "integrations/shop.json"
    credentials = {"client_id": "client", "client_secret": "another", "api_key": "another-key"}
    _rewrite(console, path, mappings=[NEWS], authentication=credentials)
    assert _offered((await console.get("/explain")).text) == []
    _rewrite(console, path, mappings=[NEWS], limits={"requests_in_flight": 2})
    config = _offered((await console.get("/explain")).text)[0]
    _, page = await _by(console, config)
    assert "What is in force now would do the same" in page


async def test_of_an_integration_that_is_gone_the_last_version_explains(
    console: RunningConsole,
) -> None:
    (seen,) = console.context.memory.versions("shop")
    text = seen.text.replace('"id": "shop"', '"id": "press"')
    console.context.memory.note([SeenConfig("press", "0123456789ab", text, 5)], 5)
    (config,) = _offered((await console.get("/explain")).text)
    _, page = await _by(console, config)
    assert "No version of it is in force now." in page
    assert "press, version 0123456789ab would send 1 attribute" in re.sub("<[^>]*>", "", page)


async def test_a_version_that_is_forgotten_or_unreadable_is_told(console: RunningConsole) -> None:
    status, page = await _by(console, "0123456789abcdef shop")
    assert (status, "not remembered any more" in page) == (400, True)
    seen = SeenConfig("shop", "v0", '{"mappings": 7}', 5)
    console.context.memory.note([seen], 5)
    status, page = await _by(console, f"{seen.digest} shop")
    assert (status, "can\u2019t be read any more" in page) == (400, True)


async def test_what_was_pasted_is_given_back_within_a_bound(console: RunningConsole) -> None:
    status, page = await _explain(console, "{" + "x" * 500_000)
    assert status == 400
    assert "x" * 100 not in page
    assert len(page) < 20_000
    assert "is too long to be given back" in page

"""Explain takes no more than its share: a large event is tied as far as time allows, and one is
explained at a time, beside all else that the console does.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.unit.cli.conftest import NOBODY
from tests.unit.console.console_parts import (
    Answer,
    RunningConsole,
    fill,
    running_console,
    usual_receipts,
    write_integration,
)
from tests.unit.console.test_pages import words_of
from tests.unit.examples import NOW_MS, event_document, integration
from tests.unit.ledger.ledger_file import LedgerFile
from worker.adobe.explanation import explain_event
from worker.console import explained_event
from worker.console.explaining_turns import MOST_WAITING
from worker.console.highlighted_lines import tags_of

PURPOSES = 2_000
WORDS = "Not all lines are tied: the event has too many values for it."


def _event(purposes: int) -> dict[str, Any]:
    consents = {"purposes": [{"id": f"p{n}", "enabled": True} for n in range(purposes)]}
    return event_document(organization_id="northwind", consents=consents)


@pytest.fixture
async def console(tmp_path: Path, ledger: LedgerFile) -> AsyncIterator[RunningConsole]:
    """Twelve integrations of one organization, each with many mappings."""
    mappings = [{"id": f"_a.n{n}", "value": f"consents_purposes_p{n}_enabled"} for n in range(50)]
    for number in range(12):
        write_integration(
            tmp_path, f"shop-{number}", mappings=mappings, upsert_mode=True, payload_mode="upsert"
        )
    fill(ledger, usual_receipts())
    async with running_console(tmp_path, amqp_url=SecretStr(NOBODY)) as running:
        await running.sign_in()
        yield running


async def _explain(console: RunningConsole, purposes: int) -> Answer:
    form = {"event": json.dumps(_event(purposes)), "csrf": await console.csrf()}
    return await console.post("/explain", form)


async def test_a_large_event_is_tied_as_far_as_time_allows(console: RunningConsole) -> None:
    large = await _explain(console, PURPOSES)
    assert large.status == 200
    assert words_of(large.text).count(WORDS) == 12
    assert large.text.count('data-tag="1"') >= 12, "the first values are, of each"
    usual = await _explain(console, 5)
    assert usual.status == 200
    assert WORDS not in words_of(usual.text)


async def test_while_one_is_explained_others_wait_and_the_console_answers(
    console: RunningConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, explain = threading.Event(), explain_event
    began = threading.Semaphore(0)
    at_once: list[int] = [0, 0]

    def slow(*arguments: Any) -> Any:
        at_once[0] += 1
        at_once[1] = max(at_once)
        began.release()
        go_on.wait(20)
        at_once[0] -= 1
        return explain(*arguments)

    monkeypatch.setattr(explained_event, "explain_event", slow)
    posts = [asyncio.create_task(_explain(console, 1)) for _ in range(MOST_WAITING + 2)]
    try:
        refused = [await one for one in await _first(posts, 2)]
        assert [one.status for one in refused] == [503, 503]
        assert "one at a time. Try again in a moment." in refused[0].text
        assert await asyncio.to_thread(began.acquire, timeout=10)
        async with asyncio.timeout(10):
            for path in ("/", "/find", "/trail", "/explain"):
                assert (await console.get(path)).status == 200, path
    finally:
        go_on.set()
        answers = await asyncio.gather(*posts)
    assert sorted(one.status for one in answers) == [200] * MOST_WAITING + [503] * 2
    assert at_once[1] == 1


async def _first(posts: list[asyncio.Task[Answer]], count: int) -> list[asyncio.Task[Answer]]:
    """Those that are answered first."""
    done: set[asyncio.Task[Answer]] = set()
    async with asyncio.timeout(20):
        while len(done) < count:
            waiting = [one for one in posts if one not in done]
            done |= (await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED))[0]
    return list(done)


def test_what_was_not_asked_about_is_told() -> None:
    made = integration(mappings=[{"id": "_a.n", "value": "consents_purposes_p0_enabled"}])
    document = _event(5) | {"organization_id": made.organization_id}
    whole = tags_of(document, made, NOW_MS)
    assert whole.is_whole
    allowed = iter([True] * 3 + [False])
    part = tags_of(document, made, NOW_MS, lambda: next(allowed))
    assert not part.is_whole
    assert part.attributes == whole.attributes
    assert len(part.lines) < len(whole.lines)
    assert not tags_of(_event(PURPOSES) | {"organization_id": "acme"}, made, NOW_MS).is_whole

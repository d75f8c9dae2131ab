"""An act takes the letters that its preview has counted, whatever comes to the queue meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.console.letter_parts import LetterStack, letter_stack
from worker.console.dead_letters import inventory_reader
from worker.console.pages import letter_acts

VERBS = [("discard", "Discard"), ("replay", "Replay")]


@pytest.fixture
async def stack(broker_url: str, namespace: str, tmp_path: Path) -> AsyncIterator[LetterStack]:
    async with letter_stack(broker_url, namespace, tmp_path) as running:
        yield running


@pytest.mark.parametrize(("path", "verb"), VERBS)
async def test_what_dies_after_the_preview_stays(stack: LetterStack, path: str, verb: str) -> None:
    await stack.tell(stack.fate(1), stack.fate(2))
    await stack.bury(1, 2, 3)
    preview = f"/dead-letters/preview/{path}?integration=shop&since=7d"
    ticket = await stack.ticket(preview)
    await stack.bury(4, 5)
    await stack.bury(2)  # a copy of one that was counted once
    form = {"ticket": ticket, "typed": "3", "canaries": "0"}
    act = (await stack.post("/dead-letters/acts", form)).way
    await stack.wait_for(act, f"{verb}ed 3 letters")
    await stack.wait_for_depth("dead-letters", 3)
    assert f"{verb} 3 letters" in await stack.page(preview)


@pytest.mark.parametrize(("path", "verb"), VERBS)
async def test_letters_that_were_not_looked_at_are_told_and_stay(
    stack: LetterStack, monkeypatch: pytest.MonkeyPatch, path: str, verb: str
) -> None:
    monkeypatch.setattr(inventory_reader, "MOST_LETTERS", 3)
    await stack.bury(*range(5))
    preview = f"/dead-letters/preview/{path}"
    page = await stack.page(preview)
    assert f"{verb} 3 letters" in page
    assert "The first 3 of 5 letters were looked at." in page
    act = await stack.begin(preview, typed="3", canaries="0")
    await stack.wait_for(act, f"{verb}ed 3 letters")
    await stack.wait_for_depth("dead-letters", 2)


@pytest.mark.parametrize(("path", "verb"), VERBS)
async def test_a_look_that_takes_too_long_gives_no_preview_of_what_was_seen_before(
    stack: LetterStack, monkeypatch: pytest.MonkeyPatch, path: str, verb: str
) -> None:
    await stack.bury(1)
    preview = f"/dead-letters/preview/{path}"
    assert f"{verb} 1 letter" in await stack.page(preview)
    await stack.bury(2)
    with monkeypatch.context() as patience:
        patience.setattr(letter_acts, "_LOOK_SECONDS", 0.0)
        answer = await stack.console.get(preview)
    assert answer.status == 503
    assert "could not be looked at in time" in answer.text
    assert "load this page again" in answer.text
    assert f"{verb} 2 letters" in await stack.page(preview), "the look went on, or another is made"


async def test_copies_that_were_counted_are_all_taken(stack: LetterStack) -> None:
    for _ in range(3):
        await stack.bury(1)
    preview = "/dead-letters/preview/discard"
    assert "Discard 3 letters, for good?" in await stack.page(preview)
    act = await stack.begin(preview, typed="3")
    await stack.wait_for(act, "Discarded 3 letters")
    await stack.wait_for_depth("dead-letters", 0)


async def test_a_letter_that_grows_older_than_the_filter_is_taken_as_it_was_counted(
    stack: LetterStack,
) -> None:
    await stack.bury(1, 2)
    ticket = await stack.ticket("/dead-letters/preview/discard?since=11m")
    stack.console.clock.moved_ms = 800_000  # they are older now, and the preview is good still
    form = {"ticket": ticket, "typed": "2"}
    act = (await stack.post("/dead-letters/acts", form)).way
    await stack.wait_for(act, "Discarded 2 letters.")
    await stack.wait_for_depth("dead-letters", 0)

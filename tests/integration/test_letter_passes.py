"""Several passes over the dead letters of a real broker, of which the first is broken off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import nullcontext

import pytest
from pydantic import SecretStr

from devtools.stack import Stack
from devtools.waiting import wait_until
from tests.integration.test_canaries import bury, stack
from worker.broker.letter_filter import Filter
from worker.interrupt import Stop
from worker.letters.letter_desk import LetterDesk, open_desk
from worker.letters.letter_events import OpenedLetter
from worker.settings import WorkerSettings

__all__ = ["stack"]
LETTERS = 30


@pytest.fixture
async def desk(stack: Stack) -> AsyncIterator[LetterDesk]:
    settings = WorkerSettings(amqp_url=SecretStr(stack.amqp_url), namespace=stack.namespace)
    async with open_desk(settings, nullcontext(Stop()), lambda said: None) as opened:
        yield opened


async def test_a_pass_has_no_letters_that_the_one_before_gave_back_unread(
    stack: Stack, desk: LetterDesk
) -> None:
    await bury(stack, "shop", *range(LETTERS))
    come: list[OpenedLetter] = []

    def take(opened: OpenedLetter) -> OpenedLetter:
        come.append(opened)
        return opened

    async with desk.one_pass("replayed") as first:
        async for _ in first.matching(Filter(), take):
            await wait_until(lambda: len(come) >= LETTERS // 2, "letters that nobody has read yet")
            break
    bodies = []
    async with desk.one_pass("replayed") as second:
        async for opened in second.matching(Filter(), lambda opened: opened):
            bodies.append(opened.message.body)
            await opened.replay(second.letters, 1_000_000, None)
    assert len(bodies) == len(set(bodies)) == LETTERS
    await stack.wait_for_depth("retries", LETTERS)
    assert await stack.depth("dead-letters") == 0

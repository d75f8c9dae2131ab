"""A replay in the console is several works: canaries, withdrawals, all others. What they come to
is counted once, and what one of them does not know the next one does not take for known.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from yarl import URL

from devtools.proxy import TcpProxy, through
from tests.integration.console.letter_parts import LetterStack, are_over, letter_stack
from worker.evidence.act import Act

LETTERS = range(10)
WITHDRAWN = (1, 3, 5)
PREVIEW = "/dead-letters/preview/replay"


async def _tell(stack: LetterStack, *numbers: int) -> None:
    """Receipts that know who has withdrawn."""
    choices = {number: "withdrawn" if number in WITHDRAWN else "given" for number in numbers}
    await stack.tell(*(stack.fate(number, choice=choice) for number, choice in choices.items()))


async def _ended(stack: LetterStack) -> Act:
    (told,) = await stack.trail(1, are_over)
    return told


async def test_letters_of_a_lost_state_are_held_back_once_each(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    async with letter_stack(broker_url, namespace, tmp_path) as stack:
        await _tell(stack, *LETTERS)
        await stack.bury(*LETTERS, consent_epoch="a" * 16)
        await stack.begin(PREVIEW, canaries="2", wait="5")
        told = await _ended(stack)
        assert (told.counts["letters"], told.counts["withdrawals"]) == (10, 3)
        assert (told.counts["held_back"], told.counts["replayed"], told.counts["kept"]) == (
            10,
            0,
            0,
        )


async def test_letters_that_can_not_be_replayed_are_kept_once_each(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    async with letter_stack(broker_url, namespace, tmp_path) as stack:
        await _tell(stack, *LETTERS)
        await stack.bury(*LETTERS[2:])
        for number in LETTERS[:2]:  # the other one of which is a withdrawal
            large = json.loads(stack.body(number)) | {"padding": "x" * 2**20}
            await stack.bury(number, body=json.dumps(large).encode())
        act = await stack.begin(PREVIEW, canaries="0")
        told = await _ended(stack)
        assert (told.counts["replayed"], told.counts["kept"], told.counts["held_back"]) == (8, 2, 0)
        page = await stack.page(act)
        assert page.count("CONSENT_WORKER_MAX_EVENT_BYTES") == 2
        await stack.wait_for_depth("dead-letters", 2)


@pytest.mark.timeout(120)
async def test_after_canaries_of_which_nothing_was_seen_others_are_the_canaries(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    url = URL(broker_url)
    async with (
        TcpProxy(url.host or "", url.port or 5672) as proxy,
        letter_stack(
            broker_url, namespace, tmp_path, by_way_of=through(broker_url, proxy.port)
        ) as stack,
    ):
        await _tell(stack, 1, 2, 4)
        await stack.bury(1, 2, 4)
        act = await stack.begin(PREVIEW, canaries="1", wait="60")
        await stack.wait_for_depth("retries", 1)  # the only withdrawal of them
        proxy.cut()
        await stack.wait_for(act, "The broker is away")
        proxy.restore()
        await stack.post(f"{act}/go-on")
        await stack.wait_for_depth("retries", 2)
        await stack.wait_for(act, "The canaries are on their way.")
        await stack.bury(2, 4)  # whichever of them it was
        page = await stack.wait_for(act, "The canaries failed, and the others stay")
        assert "came back" in page
        assert await stack.depth("retries") == 2
        await stack.wait_for_depth("dead-letters", 3)

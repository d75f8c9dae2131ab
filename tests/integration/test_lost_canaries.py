"""Canaries whose connection is lost: what nobody has seen is no verdict."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import aio_pika
import pytest
from pydantic import SecretStr
from yarl import URL

from devtools.proxy import TcpProxy, through
from devtools.stack import Stack
from devtools.waiting import wait_until
from tests.integration.test_canaries import LETTERS, bury, stack
from worker.broker.broker_access import BrokerAway
from worker.broker.letter_filter import Filter
from worker.interrupt import Stop
from worker.letters.letter_act_request import Handling
from worker.letters.letter_desk import open_desk
from worker.letters.letter_work import LetterWork, Watching
from worker.letters.lost_state_guard import LostStateGuard
from worker.settings import WorkerSettings

__all__ = ["stack"]
WAIT_SECONDS = 5
QUEUE_DECLARE = b"\x00\x32\x00\x0a"
"""How a client asks how many messages a queue has."""


class _Looks:
    """How often a replay has looked where its canaries are."""

    def __init__(self) -> None:
        self.count = 0

    async def is_clear(self) -> bool:
        self.count += 1
        return False

    async def two_more(self) -> None:
        """A whole look that began after now: the one that is under way may be older."""
        enough = self.count + 2
        await wait_until(lambda: self.count >= enough, "a look at the canaries")


async def _run(work: LetterWork, settings: WorkerSettings) -> None:
    async with open_desk(settings, nullcontext(Stop()), lambda said: None) as desk:
        await work.run(desk)


def _work(looks: _Looks) -> LetterWork:
    asked = Handling("replayed", Filter(), canaries=1, wait_seconds=WAIT_SECONDS)
    return LetterWork(asked, LostStateGuard.off(), 1_000_000, Watching(is_clear=looks.is_clear))


@asynccontextmanager
async def _line(stack: Stack) -> AsyncIterator[tuple[TcpProxy, WorkerSettings]]:
    """One to the broker that can be cut, and the settings of who uses it."""
    url = URL(stack.amqp_url)
    async with TcpProxy(url.host or "", url.port or 5672) as proxy:
        by_way_of = SecretStr(through(stack.amqp_url, proxy.port))
        yield proxy, WorkerSettings(amqp_url=by_way_of, namespace=stack.namespace)


async def _take(stack: Stack) -> bytes:
    """The canary, as a worker would; its body."""
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue(f"{stack.namespace}.retries", ensure=False)
        message = await queue.get()
        await message.ack()
        return message.body


async def _die(stack: Stack, body: bytes) -> None:
    headers = {"consent-integration": "shop", "consent-dead-reason": "adobe-rejected"}
    await stack.publish([body], "dead-letters", headers=headers)


async def test_a_wait_that_saw_nothing_lets_no_other_letter_go(stack: Stack) -> None:
    await bury(stack, "shop", *range(LETTERS))
    looks = _Looks()
    work = _work(looks)
    async with _line(stack) as (proxy, settings):
        running = asyncio.create_task(_run(work, settings))
        await stack.wait_for_depth("retries", 1)
        canary = await _take(stack)
        await looks.two_more()  # it knows that the canary was taken
        proxy.cut()
        await _die(stack, canary)
        with pytest.raises(BrokerAway):
            await running
        assert (work.tally.verdict, work.tally.handled) == (None, 1)
        proxy.restore()
        running = asyncio.create_task(_run(work, settings))
        await stack.wait_for_depth("retries", 1)
        await _die(stack, await _take(stack))
        await running
    assert work.tally.verdict is not None
    assert (work.tally.verdict.came_back, work.tally.handled) == (1, 2)
    await stack.wait_for_depth("dead-letters", LETTERS)
    assert await stack.depth("retries") == 0


async def test_a_wait_on_a_line_that_is_silent_ends_with_what_the_broker_says(stack: Stack) -> None:
    await bury(stack, "shop", *range(LETTERS))
    looks, loop = _Looks(), asyncio.get_running_loop()
    work = _work(looks)
    async with _line(stack) as (proxy, settings):
        running = asyncio.create_task(_run(work, settings))
        await stack.wait_for_depth("retries", 1)
        canary = await _take(stack)
        await looks.two_more()
        proxy.stall()
        await _die(stack, canary)
        ends_at = loop.time() + WAIT_SECONDS + 1
        await wait_until(lambda: loop.time() > ends_at, "the end of the wait")
        assert work.tally.verdict is None, "it may have come back unseen"
        proxy.restore()
        await running
    assert work.tally.verdict is not None
    assert (work.tally.verdict.came_back, work.tally.handled) == (1, 1)


async def test_a_wait_whose_letters_the_broker_gives_no_more_is_no_verdict(stack: Stack) -> None:
    """The line stands, and the queue is another one."""
    await bury(stack, "shop", *range(LETTERS))
    looks = _Looks()
    work = _work(looks)
    async with _line(stack) as (_, settings):
        running = asyncio.create_task(_run(work, settings))
        await stack.wait_for_depth("retries", 1)
        canary = await _take(stack)
        await looks.two_more()
        async with await aio_pika.connect(stack.amqp_url) as connection:
            await (await connection.channel()).queue_delete(f"{stack.namespace}.dead-letters")
        code, _, err = await stack.command("topology", "declare")
        assert code == 0, err
        await _die(stack, canary)
        with pytest.raises(BrokerAway):
            await running
    assert (work.tally.verdict, work.tally.handled) == (None, 1)


async def test_what_was_seen_stands_though_the_line_is_lost_then(stack: Stack) -> None:
    await bury(stack, "shop", *range(LETTERS))
    looks = _Looks()
    work = _work(looks)
    async with _line(stack) as (proxy, settings):
        running = asyncio.create_task(_run(work, settings))
        await stack.wait_for_depth("retries", 1)
        canary = await _take(stack)
        await looks.two_more()
        proxy.stall_who_says(QUEUE_DECLARE)  # no answer comes to whoever asks from now on
        await _die(stack, canary)
        await wait_until(lambda: work.tally.verdict is not None, "the verdict")
        proxy.cut()
        proxy.restore()
        with pytest.raises(BrokerAway):
            await running
    assert work.tally.verdict is not None
    assert "came back" in work.tally.verdict.trouble

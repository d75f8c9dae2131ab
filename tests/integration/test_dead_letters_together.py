"""Two dead-letter commands at once: what one holds is never hidden from the other."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest

from devtools.broker import RunningBroker
from devtools.stack import Stack, event
from devtools.waiting import wait_until
from worker.cli.command_act import RECEIPTS_OFF

LETTERS = 300
WAITING = b"another command works on the dead letters; waiting until it ends\n"


@pytest.fixture
async def stack(broker_url: str, namespace: str) -> AsyncIterator[Stack]:
    async with Stack(broker_url, namespace) as running:
        running.add_integration("shop")
        await _bury(running)
        yield running


async def _bury(stack: Stack) -> None:
    code, _, err = await stack.command("topology", "declare")
    assert code == 0, err
    headers: Any = {"consent-integration": "shop", "consent-dead-reason": "retries-exhausted"}
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        for number in range(LETTERS):
            body = json.dumps(event("org-shop", f"u{number}@a.example")).encode()
            letter = aio_pika.Message(
                body, delivery_mode=2, message_id=f"letter-{number}", headers=headers
            )
            await channel.default_exchange.publish(letter, f"{stack.namespace}.dead-letters")


async def _start(stack: Stack, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "worker", "dead-letters", *arguments),
        env=stack.env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1024,  # so that one whose output nobody reads soon stands still
    )


async def _start_and_hold(stack: Stack) -> asyncio.subprocess.Process:
    """A command that holds letters, since nobody reads what it writes."""
    process = await _start(stack, "export", "-")
    await wait_until(lambda: _depth_is_below(stack, LETTERS), "it to hold some")
    return process


async def _depth_is_below(stack: Stack, count: int) -> bool:
    return 0 <= await stack.depth("dead-letters") < count


async def _next_line(process: asyncio.subprocess.Process) -> bytes:
    assert process.stderr is not None
    return await asyncio.wait_for(process.stderr.readline(), 30)


async def test_a_replay_finds_what_another_command_held_when_it_began(stack: Stack) -> None:
    holder = await _start_and_hold(stack)
    replay = await _start(stack, "replay", "--json")
    assert await _next_line(replay) == WAITING
    assert await stack.depth("retries") == 0
    exported, _ = await holder.communicate()
    assert len(exported.splitlines()) == LETTERS
    out, err = await replay.communicate()
    assert (replay.returncode, err.decode()) == (0, f"{RECEIPTS_OFF}\n")
    assert json.loads(out)["replayed"] == LETTERS
    assert await stack.depth("retries") == LETTERS
    assert await stack.depth("dead-letters") == 0


async def test_a_replay_finds_what_a_killed_command_held(stack: Stack) -> None:
    holder = await _start_and_hold(stack)
    replay = await _start(stack, "replay", "--json")
    assert await _next_line(replay) == WAITING
    holder.send_signal(signal.SIGKILL)
    out, _ = await replay.communicate()
    assert json.loads(out)["replayed"] == LETTERS
    await holder.communicate()


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
async def test_one_that_waits_can_be_interrupted(
    stack: Stack, number: signal.Signals, exit_code: int
) -> None:
    holder = await _start_and_hold(stack)
    waiting = await _start(stack, "discard", "--yes")
    assert await _next_line(waiting) == WAITING
    waiting.send_signal(number)
    out, err = await waiting.communicate()
    assert (waiting.returncode, out) == (exit_code, b"")
    assert err == (
        b"consent-worker: interrupted: another command was at work, and nothing was done\n"
    )
    await holder.communicate()
    assert await stack.depth("dead-letters") == LETTERS


async def test_operators_who_replay_at_once_replay_each_letter_once(stack: Stack) -> None:
    together = [await _start(stack, "replay", "--json") for _ in range(3)]
    said = [await one.communicate() for one in together]
    assert [one.returncode for one in together] == [0] * 3
    assert sorted(json.loads(out)["replayed"] for out, _ in said) == [0, 0, LETTERS]
    assert await stack.depth("retries") == LETTERS


async def test_commands_one_after_the_other_do_not_wait(stack: Stack) -> None:
    for command in (("list",), ("show", "letter-7"), ("replay", "--dry-run"), ("replay",)):
        code, _, err = await stack.command("dead-letters", *command)
        assert (code, err) == (0, f"{RECEIPTS_OFF}\n" if command == ("replay",) else "")


@pytest.mark.timeout(180)
async def test_an_operator_without_the_right_to_the_lock_is_told(
    own_broker: RunningBroker, namespace: str
) -> None:
    async with Stack(own_broker.url, namespace) as stack:
        await _bury(stack)
        own_broker.ctl("add_user", "operator", "secret")
        address = own_broker.url.rpartition("@")[2]
        stack.override("AMQP_URL", f"amqp://operator:secret@{address}")
        for configure, word in (
            ("^$", f"RabbitMQ does not let this user configure {namespace}.dead-letters.lock"),
            (rf"^{namespace}\.dead-letters\.lock$", ""),
        ):
            rights = (configure, r"^amq\.default$", rf"^{namespace}\.dead-letters$")
            own_broker.ctl("set_permissions", "operator", *rights)
            code, out, err = await stack.command("dead-letters", "replay", "--dry-run")
            assert (code, out) == (0, f"would have replayed {LETTERS}\n")
            assert err.startswith(word)
            assert bool(err) is bool(word)

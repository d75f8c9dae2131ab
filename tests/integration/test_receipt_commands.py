"""`receipts verify` on a real stream in which somebody has planted something."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import aio_pika
import pytest
from yarl import URL

from devtools.proxy import TcpProxy, through
from devtools.stack import Stack
from devtools.waiting import wait_until
from tests.unit.evidence.chains import SECRET, START_MS, bodies
from worker.broker.receipts_stream import receipts_queue
from worker.evidence.anchors import Head, encode_head
from worker.evidence.chain import Chain
from worker.evidence.heading import line_digest, read_message

Plant = Callable[[list[bytes]], list[bytes]]


@pytest.fixture
async def stack(broker_url: str, namespace: str) -> AsyncIterator[Stack]:
    async with Stack(
        broker_url, namespace, RECEIPTS="on", RECEIPTS_SECRET=SECRET.decode()
    ) as running:
        yield running


async def _write(stack: Stack, said: list[bytes]) -> None:
    """Write these messages to a new stream, as anybody may who may publish."""
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        queue = receipts_queue(stack.namespace, 400, 5_000_000_000)
        await channel.declare_queue(queue.name, durable=True, arguments=queue.arguments)
        for body in said:
            await channel.default_exchange.publish(aio_pika.Message(body), queue.name)


async def _verified(stack: Stack) -> tuple[int, dict[str, Any]]:
    code, out, err = await stack.command("receipts", "verify", "--json")
    assert out, err
    return code, json.loads(out)


def _changed(said: list[bytes]) -> list[bytes]:
    return [*said[:4], said[4].replace(b'"withdrawn"', b'"given"', 1), *said[5:]]


def _removed(said: list[bytes]) -> list[bytes]:
    return [*said[:4], *said[5:]]


def _inserted(said: list[bytes]) -> list[bytes]:
    forger = Chain("host:1", b"")
    forger.id = read_message(said[0]).heading.chain
    for _ in range(5):
        body = forger.message("receipts", [b"{}"], START_MS)
    return [*said[:5], body, *said[5:]]


def _reordered(said: list[bytes]) -> list[bytes]:
    return [*said[:4], said[5], said[4], *said[6:]]


def _cut(said: list[bytes]) -> list[bytes]:
    heading, line, _ = read_message(said[-2])
    head = Head(heading.chain, heading.sequence, line_digest(line), heading.at)
    ledger = Chain("ledger:1", SECRET)
    anchor = [
        ledger.message("begin", (), START_MS),
        ledger.message("anchor", [encode_head(head)], START_MS),
    ]
    return [*said[:-5], *anchor]


def _re_signed(said: list[bytes]) -> list[bytes]:
    return [*said, *bodies(3, b"the secret of somebody else")]


def _beheaded_behind_another(said: list[bytes]) -> list[bytes]:
    """Junk where the stream begins, then what was written last of all."""
    return [b"junk", *bodies(3, start_ms=START_MS + 3_600_000), *said[4:]]


@pytest.mark.parametrize(
    ("plant", "code"),
    [
        (_changed, "changed"),
        (_removed, "removed"),
        (_inserted, "foreign"),
        (_reordered, "reordered"),
        (_cut, "cut"),
        (_beheaded_behind_another, "headless"),
        (_re_signed, "foreign"),
    ],
)
async def test_what_was_planted_is_named_with_its_place(
    stack: Stack, plant: Plant, code: str
) -> None:
    said = bodies(10)
    await _write(stack, plant(said))
    exit_code, report = await _verified(stack)
    assert exit_code == 1
    found = [one for one in report["findings"] if one["code"] == code]
    assert found
    assert all(one["manipulation"] and one["sentence"] for one in found)
    if code != "foreign" or plant is _inserted:
        assert {one["chain"] for one in found} == {read_message(said[0]).heading.chain}
    places = {"changed": 4, "removed": 5, "reordered": 4, "cut": 10}
    assert found[0]["sequence"] == places.get(code, found[0]["sequence"])


async def test_what_is_no_message_at_all_is_counted_and_told(stack: Stack) -> None:
    future = bodies(1)[0].replace(b'"v":1', b'"v":2')
    await _write(stack, [b"nonsense \x1b[2J", *bodies(3), b"\x00" * 5000, future])
    exit_code, report = await _verified(stack)
    assert (exit_code, report["unreadable"], report["rows"]) == (0, 3, 6)
    code, out, _ = await stack.command("receipts", "verify")
    assert code == 0
    assert "\x1b" not in out
    assert "no manipulations" in out
    code, out, _ = await stack.command("receipts", "tail", "--limit", "2")
    assert code == 0
    assert [line.split()[2] for line in out.splitlines()] == ["ev-4", "ev-5"]


async def test_without_a_secret_it_says_what_is_not_proved(stack: Stack) -> None:
    await _write(stack, [*bodies(3, b""), *bodies(3)])
    stack.override("RECEIPTS_SECRET", "")
    code, out, _ = await stack.command("receipts", "verify")
    assert code == 0
    assert "5 messages are not signed" in out
    assert "5 messages were not held against a signature" in out
    stack.override("RECEIPTS_SECRET", "a newer one")
    stack.override("RECEIPTS_SECRET_PREVIOUS", SECRET.decode())
    _, report = await _verified(stack)
    assert (report["unchecked"], report["findings"]) == (5, [])


async def test_a_tail_that_was_interrupted_does_not_look_like_a_whole_list(stack: Stack) -> None:
    said = bodies(1_000)
    await _write(stack, said)
    url = URL(stack.amqp_url)
    async with TcpProxy(url.host or "", url.port or 5672) as proxy:
        proxy.slow_answers(sum(map(len, said)) / 20)
        tail = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "worker", "receipts", "tail", "--json"),
            env=stack.env | {"CONSENT_WORKER_AMQP_URL": through(stack.amqp_url, proxy.port)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        begun = sum(map(len, said[: len(said) // 3]))
        await wait_until(lambda: proxy.answered_bytes > begun, "a part of the stream", 60)
        tail.send_signal(signal.SIGINT)
        proxy.restore()
        out, err = await tail.communicate()
    assert tail.returncode == 130, err
    assert b"interrupted: " in err
    with pytest.raises(json.JSONDecodeError):
        json.loads(out)


async def test_an_empty_stream_and_none_at_all(stack: Stack) -> None:
    code, _, err = await stack.command("receipts", "verify")
    assert code == 3
    assert "topology declare" in err
    await _write(stack, [])
    code, out, _ = await stack.command("receipts", "verify")
    assert code == 0
    assert "0 rows in 0 messages" in out
    assert await stack.command("receipts", "tail") == (0, "", "")

"""The commands that read the stream of the receipts: whoever wrote it, however slow it comes."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aio_pika
import pytest

from devtools.proxy import TcpProxy, through
from devtools.receipts_read import receipts_reader
from devtools.stack import Stack
from devtools.waiting import wait_until
from tests.integration.raw_messages import HEADERS, entry, publish_raw, table
from tests.unit.evidence.chains import SECRET, bodies
from worker.broker.receipts_stream import receipts_queue
from worker.evidence.heading import MOST_BODY_BYTES

_END_OF_TIME = b"T" + struct.pack(">Q", 2**63 - 1)
_OFFSET = b"x-stream-offset"
HOSTILE = {
    "a time that no clock has": table(entry(b"t", _END_OF_TIME)),
    "an offset of its own": table(entry(_OFFSET, b"S" + struct.pack(">I", 5) + b"first")),
    "an offset that is a number": table(entry(_OFFSET, b"l" + struct.pack(">q", 2**62))),
    "thousands of headers": table(
        *(entry(b"h" + struct.pack(">H", number), b"V") for number in range(20_000))
    ),
}


@pytest.fixture
async def stack(broker_url: str, namespace: str) -> AsyncIterator[Stack]:
    async with Stack(
        broker_url, namespace, RECEIPTS="on", RECEIPTS_SECRET=SECRET.decode()
    ) as running:
        async with await aio_pika.connect(broker_url) as connection:
            channel = await connection.channel()
            queue = receipts_queue(namespace, 400, 5_000_000_000)
            await channel.declare_queue(queue.name, durable=True, arguments=queue.arguments)
        yield running


def _queue(stack: Stack) -> str:
    return f"{stack.namespace}.receipts"


def _write(stack: Stack, said: list[bytes]) -> None:
    for body in said:
        publish_raw(stack.amqp_url, _queue(stack), 0, b"", body)


async def _verified(stack: Stack) -> tuple[int, int, int]:
    """The exit code, and how many messages and unreadable ones were seen."""
    code, out, err = await stack.command("receipts", "verify", "--json")
    assert out, err
    report = json.loads(out)
    return code, report["messages"], report["unreadable"]


async def _has_tail(stack: Stack) -> bool:
    code, out, err = await stack.command("receipts", "tail", "--limit", "1")
    assert code == 0, err
    return out.split()[2] == "ev-5"


@pytest.mark.parametrize("at_the_end", [True, False])
async def test_no_message_keeps_the_stream_from_being_read(
    stack: Stack, *, at_the_end: bool
) -> None:
    said = bodies(3)
    _write(stack, said[: None if at_the_end else 2])
    for headers in HOSTILE.values():
        publish_raw(stack.amqp_url, _queue(stack), HEADERS, headers, b"junk")
    too_large = b"x" * (MOST_BODY_BYTES + 1)
    for headers in HOSTILE.values():
        publish_raw(stack.amqp_url, _queue(stack), HEADERS, headers, too_large)
    _write(stack, [] if at_the_end else said[2:])
    junk = 2 * len(HOSTILE)
    assert await _verified(stack) == (0, len(said) + junk, junk)
    assert await _has_tail(stack)


async def test_who_reads_while_others_write_all_the_time_comes_to_an_end(stack: Stack) -> None:
    async def write_on() -> None:
        async with await aio_pika.connect(stack.amqp_url) as connection:
            channel = await connection.channel(publisher_confirms=True)
            while True:
                await channel.default_exchange.publish(aio_pika.Message(b"junk"), _queue(stack))
                await asyncio.sleep(0.05)

    _write(stack, bodies(3))
    writing = asyncio.create_task(write_on())
    async with receipts_reader(stack.amqp_url, stack.namespace) as reader, asyncio.timeout(30):
        last = await reader.last_offset()
        assert last is not None
        read = [one.offset async for one in reader.read(2, last)]
        assert read == [*range(2, last + 1)]
    assert not writing.done()
    writing.cancel()


async def test_a_stream_that_comes_late_is_no_empty_one(stack: Stack) -> None:
    said = bodies(9)
    _write(stack, [*said[:3], *said[5:]])
    host, port = urlsplit(stack.amqp_url).hostname, urlsplit(stack.amqp_url).port
    async with TcpProxy(host or "", port or 0) as proxy:
        stack.amqp_url = through(stack.amqp_url, proxy.port)
        proxy.hold_deliveries(seconds=1.5)
        assert await _verified(stack) == (1, len(said) - 2, 0)
        assert await _has_tail(stack) is False


async def test_a_stream_of_which_nothing_comes_is_not_verified(stack: Stack) -> None:
    _write(stack, bodies(9))

    async def is_counted() -> bool:
        async with await aio_pika.connect(stack.amqp_url) as connection:
            channel = await connection.channel()
            queue = await channel.declare_queue(_queue(stack), passive=True)
            return bool(queue.declaration_result.message_count)

    await wait_until(is_counted, "the broker's count", 30)
    host, port = urlsplit(stack.amqp_url).hostname, urlsplit(stack.amqp_url).port
    async with TcpProxy(host or "", port or 0) as proxy:
        stack.amqp_url = through(stack.amqp_url, proxy.port)
        proxy.hold_deliveries()
        for command in ("verify", "tail"):
            code, out, err = await stack.command("receipts", command)
            assert (code, out) == (3, "")
            assert "gives none of the records" in err

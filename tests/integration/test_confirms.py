"""Publishing with confirms, on a real broker: what is confirmed, returned, refused, and never."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import aio_pika
import pytest
import structlog
from aio_pika.abc import AbstractConnection
from pamqp.commands import Basic
from pydantic import SecretStr

from devtools.broker import RunningBroker
from devtools.waiting import wait_until
from worker.broker.channels import UNBLOCKED_ATTRIBUTE, is_blocked, open_channel
from worker.broker.publishing import ConfirmChannel, Publish, Publisher
from worker.broker.session import connect
from worker.settings import WorkerSettings

MESSAGES = 2_000
_open = partial(open_channel, kind=ConfirmChannel, confirms=True)


@pytest.fixture
async def line(broker_url: str) -> AsyncIterator[AbstractConnection]:
    settings = WorkerSettings(amqp_url=SecretStr(broker_url))
    async with await connect(settings, "test") as connection:
        yield connection


def message(number: int, queue: str, confirmed: list[int], body: bytes = b"body") -> Publish:
    properties = Basic.Properties(message_id=f"m{number}", delivery_mode=2)
    return Publish("", queue, properties, body, True, partial(confirmed.append, number))


async def test_each_message_is_confirmed_once_and_is_in_the_queue_in_order(
    line: AbstractConnection, namespace: str
) -> None:
    watching = await line.channel()
    queue = await watching.declare_queue(namespace, durable=True)
    publisher = Publisher(await _open(line), 10)
    confirmed: list[int] = []
    large = b"x" * 300_000  # more than one frame holds
    for number in range(MESSAGES):
        body = large if number == 7 else str(number).encode()
        publisher.publish(message(number, namespace, confirmed, body))
        if number % 50 == 0:
            await asyncio.sleep(0)
    await wait_until(lambda: len(confirmed) >= MESSAGES, "every confirm")
    assert sorted(confirmed) == list(range(MESSAGES))
    for number in range(10):
        got = await queue.get(no_ack=True)
        assert got is not None
        assert (got.body, got.message_id) == (
            large if number == 7 else str(number).encode(),
            f"m{number}",
        )
    await queue.delete(if_empty=False)


async def test_what_fits_no_queue_is_tried_again_until_it_does(
    line: AbstractConnection, namespace: str
) -> None:
    watching = await line.channel()
    there = await watching.declare_queue(f"{namespace}.there", durable=True)
    publisher = Publisher(await _open(line), 10)
    confirmed: list[int] = []
    with structlog.testing.capture_logs() as logs:
        for number in range(20):
            name = f"{namespace}.missing" if number == 3 else there.name
            publisher.publish(message(number, name, confirmed))
        await wait_until(lambda: len(confirmed) == 19, "the confirms of all others")
        await wait_until(lambda: logs, "a word about the one")
    assert 3 not in confirmed
    assert publisher.trouble == "publishing to a queue: returned"
    assert (logs[0]["event"], logs[0]["error"]) == ("publish.unconfirmed", "returned")
    missing = await watching.declare_queue(f"{namespace}.missing", durable=True)
    await wait_until(lambda: 3 in confirmed, "the confirm of the one")
    assert publisher.trouble == ""
    assert len(confirmed) == 20
    for queue in (there, missing):
        await queue.delete(if_empty=False)


async def test_what_a_full_queue_refuses_is_tried_again_until_there_is_room(
    line: AbstractConnection, namespace: str
) -> None:
    watching = await line.channel()
    arguments = {"x-max-length": 1, "x-overflow": "reject-publish"}
    queue = await watching.declare_queue(namespace, durable=True, arguments=arguments)
    await watching.default_exchange.publish(aio_pika.Message(b"before"), namespace)
    publisher = Publisher(await _open(line), 10)
    confirmed: list[int] = []
    publisher.publish(message(0, namespace, confirmed))
    await wait_until(lambda: publisher.trouble, "a refusal")
    assert (publisher.trouble, confirmed) == ("publishing to a queue: refused", [])
    await queue.purge()
    await wait_until(lambda: confirmed == [0], "the confirm")
    await queue.delete(if_empty=False)


async def test_a_message_that_is_not_confirmed_in_time_is_sent_again(
    line: AbstractConnection, namespace: str
) -> None:
    """It may be there twice then, which is harmless, while a loss would not be."""
    watching = await line.channel()
    queue = await watching.declare_queue(namespace, durable=True)
    publisher = Publisher(await _open(line), 0)
    confirmed: list[int] = []
    publisher.publish(message(0, namespace, confirmed))
    await wait_until(lambda: publisher.trouble, "impatience")
    assert publisher.trouble == "publishing to a queue: not confirmed in time"

    async def is_there_twice() -> bool:
        declared = await watching.declare_queue(namespace, durable=True, passive=True)
        return (declared.declaration_result.message_count or 0) >= 2

    await wait_until(is_there_twice, "the message once more")
    await queue.delete(if_empty=False)


async def test_nothing_is_confirmed_by_a_channel_that_is_closed(
    line: AbstractConnection, namespace: str
) -> None:
    channel = await _open(line)
    publisher = Publisher(channel, 10)
    confirmed: list[int] = []
    publisher.publish(message(0, namespace, confirmed))
    await channel.close()
    publisher.publish(message(1, namespace, confirmed))
    assert confirmed == []


@pytest.mark.timeout(120)
async def test_while_the_broker_has_an_alarm_nothing_is_sent_again(
    own_broker: RunningBroker, namespace: str
) -> None:
    settings = WorkerSettings(amqp_url=SecretStr(own_broker.url))
    async with await connect(settings, "test") as line, await connect(settings, "watch") as other:
        watching = await other.channel()
        queue = await watching.declare_queue(namespace, durable=True)
        assert not is_blocked(line)
        publisher = Publisher(await _open(line), 0.3, partial(is_blocked, line))
        confirmed: list[int] = []
        await asyncio.to_thread(own_broker.ctl, "set_vm_memory_high_watermark", "0.0000001")
        publisher.publish(message(0, namespace, confirmed))
        # The broker blocks who publishes; what it was given by then it may have taken in.
        await wait_until(lambda: is_blocked(line), "the alarm", 30)
        for number in range(1, 20):
            publisher.publish(message(number, namespace, confirmed))
        await wait_until(lambda: "alarm" in publisher.trouble, "the alarm to be told of")
        await asyncio.sleep(2)  # many times longer than a confirm is waited for: the case itself
        assert set(confirmed) <= {0}
        await asyncio.to_thread(own_broker.ctl, "set_vm_memory_high_watermark", "0.9")
        await wait_until(lambda: len(confirmed) == 20, "every confirm", 30)
        await wait_until(lambda: publisher.trouble == "", "the end of the alarm to be told of")
        again = await watching.declare_queue(namespace, passive=True)
        assert again.declaration_result.message_count == 20
        await queue.delete(if_empty=False)


async def test_a_quiet_worker_notices_the_end_of_an_alarm(
    own_broker: RunningBroker, namespace: str
) -> None:
    settings = WorkerSettings(amqp_url=SecretStr(own_broker.url))
    async with await connect(settings, "test") as line:
        watching = await line.channel()
        queue = await watching.declare_queue(namespace, durable=True)
        publisher = Publisher(await _open(line), 60, partial(is_blocked, line))
        confirmed: list[int] = []
        await asyncio.to_thread(own_broker.ctl, "set_vm_memory_high_watermark", "0.0000001")
        publisher.publish(message(1, namespace, confirmed))
        await wait_until(lambda: is_blocked(line), "the alarm", 30)
        publisher.publish(message(2, namespace, confirmed))
        await wait_until(lambda: "alarm" in publisher.trouble, "the alarm to be told of", 15)
        await asyncio.to_thread(own_broker.ctl, "set_vm_memory_high_watermark", "0.9")
        await wait_until(lambda: len(confirmed) == 2 and not publisher.trouble, "its end", 15)
        await queue.delete(if_empty=False)


async def test_the_attribute_that_tells_of_an_alarm_is_there(line: AbstractConnection) -> None:
    """It is aiormq's own: without it a blocked line would not be noticed."""
    assert line.transport is not None
    event = getattr(line.transport.connection, UNBLOCKED_ATTRIBUTE)
    assert isinstance(event, asyncio.Event)
    assert event.is_set()

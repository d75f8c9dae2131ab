"""Publishing with confirms, on a real broker: what is confirmed, returned, refused, and never."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import aio_pika
import pytest
import structlog
from aio_pika.abc import AbstractChannel
from pamqp.commands import Basic
from pamqp.common import FieldTable
from pydantic import SecretStr
from yarl import URL

from devtools.broker import RunningBroker
from devtools.proxy import TcpProxy
from devtools.waiting import wait_until
from worker.broker.publisher import Publisher
from worker.broker.publishing_connection import PublishingConnection
from worker.broker.session_settings import address_of
from worker.broker.topology import build_topology, declare
from worker.settings import WorkerSettings
from worker.wire.confirms import Outgoing

MESSAGES = 2_000


class Publishing:
    """A publisher, and a queue to publish to that nobody consumes."""

    def __init__(self, publisher: Publisher, watching: AbstractChannel, queue: str) -> None:
        self.publisher = publisher
        self.watching = watching
        self.queue = queue
        self.confirmed: list[int] = []

    def send(self, number: int, queue: str | None = None, body: bytes = b"body") -> None:
        properties = Basic.Properties(message_id=f"m{number}", delivery_mode=2)
        to = queue or self.queue
        then = partial(self.confirmed.append, number)
        self.publisher.publish(Outgoing("", to, properties, body, True, then))

    async def depth(self) -> int:
        declared = await self.watching.declare_queue(self.queue, passive=True)
        return declared.declaration_result.message_count or 0

    async def ids(self) -> list[str | None]:
        """Message ids in the queue, in order; takes them out."""
        queue = await self.watching.get_queue(self.queue)
        taken: list[str | None] = []
        while (got := await queue.get(no_ack=True, fail=False)) is not None:
            taken.append(got.message_id)
        return taken


@asynccontextmanager
async def publishing_to(
    url: str,
    namespace: str,
    patience: float = 10,
    through: str | None = None,
    heartbeat: int = 60,
    refused_seconds: float = 10,
) -> AsyncIterator[Publishing]:
    """`through` is the URL by which the publisher gets to the broker at `url`."""
    settings = WorkerSettings(amqp_url=SecretStr(through or url), heartbeat_seconds=heartbeat)
    topology = build_topology(namespace, "native", 20)
    failures: list[str] = []
    publisher = Publisher(
        lambda: PublishingConnection(address_of(settings), partial(declare, topology=topology)),
        patience,
        failures.append,
        refused_seconds,
    )
    async with AsyncExitStack() as until, await aio_pika.connect(url) as watch:
        watching = await watch.channel()
        queue = await watching.declare_queue(f"{namespace}.test", durable=True)
        await publisher.start()
        until.push_async_callback(publisher.close)
        yield Publishing(publisher, watching, queue.name)
        await queue.delete(if_empty=False)
    assert not failures


@asynccontextmanager
async def proxy_to(url: str) -> AsyncIterator[tuple[TcpProxy, str]]:
    """A proxy before the broker, and the URL through it."""
    address = URL(url)
    async with TcpProxy(address.host or "", address.port or 0) as proxy:
        yield proxy, str(address.with_host("127.0.0.1").with_port(proxy.port))


async def test_each_message_is_confirmed_once_and_is_in_the_queue_in_order(
    broker_url: str, namespace: str
) -> None:
    large = b"x" * 300_000  # more than one frame holds
    async with publishing_to(broker_url, namespace) as line:
        for number in range(MESSAGES):
            line.send(number, body=large if number == 7 else str(number).encode())
            if number % 50 == 0:
                await asyncio.sleep(0)
        await wait_until(lambda: len(line.confirmed) >= MESSAGES, "every confirm")
        assert sorted(line.confirmed) == list(range(MESSAGES))
        queue = await line.watching.get_queue(line.queue)
        for number in range(10):
            got = await queue.get(no_ack=True)
            assert got is not None
            expected = large if number == 7 else str(number).encode()
            assert (got.body, got.message_id) == (expected, f"m{number}")


async def test_what_fits_no_queue_is_tried_again_until_it_does(
    broker_url: str, namespace: str
) -> None:
    async with publishing_to(broker_url, namespace) as line:
        missing = f"{namespace}.missing"
        with structlog.testing.capture_logs() as logs:
            for number in range(20):
                line.send(number, missing if number == 3 else None)
            await wait_until(lambda: len(line.confirmed) == 19, "the confirms of all others")
            await wait_until(lambda: logs, "a word about the one")
        assert 3 not in line.confirmed
        assert line.publisher.trouble == "publishing to a queue: returned"
        assert (logs[0]["event"], logs[0]["error"]) == ("publish.unconfirmed", "returned")
        there = await line.watching.declare_queue(missing, durable=True)
        await wait_until(lambda: 3 in line.confirmed, "the confirm of the one")
        assert line.publisher.trouble == ""
        assert len(line.confirmed) == 20
        await there.delete(if_empty=False)


async def test_what_a_full_queue_refuses_is_tried_again_until_there_is_room(
    broker_url: str, namespace: str
) -> None:
    async with publishing_to(broker_url, namespace) as line:
        arguments: FieldTable = {"x-max-length": 1, "x-overflow": "reject-publish"}
        full = f"{namespace}.full"
        queue = await line.watching.declare_queue(full, durable=True, arguments=arguments)
        await line.watching.default_exchange.publish(aio_pika.Message(b"before"), full)
        line.send(0, full)
        await wait_until(lambda: line.publisher.trouble, "a refusal")
        assert line.publisher.trouble == "publishing to a queue: refused"
        assert line.confirmed == []
        await queue.purge()
        await wait_until(lambda: line.confirmed == [0], "the confirm")
        await queue.delete(if_empty=False)


async def test_what_a_bound_refused_is_taken_once_an_operator_has_removed_the_bound(
    own_broker: RunningBroker, namespace: str
) -> None:
    """RabbitMQ 3.10 goes on refusing on the channel that it once refused on."""
    async with publishing_to(own_broker.url, namespace, refused_seconds=0.5) as line:
        bounded = f"{namespace}.bounded"
        arguments: FieldTable = {"x-queue-type": "quorum", "x-overflow": "reject-publish"}
        await line.watching.declare_queue(bounded, durable=True, arguments=arguments)
        bound = ("bound", f"^{bounded}$", '{"max-length": 1}')
        own_broker.ctl("set_policy", "--apply-to", "queues", *bound)
        with structlog.testing.capture_logs() as logs:
            for number in range(60):
                line.send(number, bounded)
                await asyncio.sleep(0)
                if number == 30:
                    await wait_until(lambda: line.confirmed, "the first confirms")
            await wait_until(lambda: "refused" in line.publisher.trouble, "a refusal")
            own_broker.ctl("clear_policy", "bound")
            await wait_until(lambda: len(set(line.confirmed)) == 60, "every confirm", 30)
            assert line.publisher.trouble == ""
        told = [one["event"] for one in logs].count("publish.unconfirmed")
        assert told == 1, "not for each try"


async def test_without_confirms_each_message_goes_once_more_on_a_new_line_in_order(
    broker_url: str, namespace: str
) -> None:
    async with (
        proxy_to(broker_url) as (proxy, through),
        publishing_to(broker_url, namespace, 0.5, through) as line,
    ):
        line.send(0)
        await wait_until(lambda: line.confirmed == [0], "the first confirm")
        proxy.hold_answers()  # the broker takes all in, and its word does not arrive
        for number in range(1, 6):
            line.send(number)

        async def is_in() -> bool:
            return await line.depth() == 6

        await wait_until(is_in, "the messages")
        await wait_until(lambda: "opened anew" in line.publisher.trouble, "impatience")
        assert line.confirmed == [0]
        proxy.restore()
        await wait_until(lambda: len(line.confirmed) == 6, "every confirm")
        assert line.confirmed == list(range(6)), "each once, whatever the old line still says"
        assert line.publisher.trouble == ""
        once, again = [f"m{n}" for n in range(6)], [f"m{n}" for n in range(1, 6)]
        assert await line.ids() == once + again


async def test_patience_doubles_while_no_confirm_comes(broker_url: str, namespace: str) -> None:
    async with (
        proxy_to(broker_url) as (proxy, through),
        publishing_to(broker_url, namespace, 0.6, through) as line,
    ):
        proxy.stall_who_says(b"never confirmed")
        with structlog.testing.capture_logs() as logs:
            line.send(0, body=b"never confirmed")
            await wait_until(lambda: len(_reopenings(logs)) == 3, "the third line", 30)
            proxy.restore()
            await wait_until(lambda: line.confirmed == [0], "the confirm", 30)
            proxy.stall_who_says(b"again not")
            line.send(1, body=b"again not")
            await wait_until(lambda: len(_reopenings(logs)) == 4, "one more", 30)
        assert _reopenings(logs) == [f"no confirm in {n} s" for n in ("0.6", "1.2", "2.4", "0.6")]


def _reopenings(logs: list[structlog.typing.EventDict]) -> list[str]:
    return [one["reason"] for one in logs if one["event"] == "publish.reopening"]


@pytest.mark.parametrize("heartbeat", [1, 60])
async def test_a_line_that_is_cut_or_falls_silent_is_opened_anew(
    broker_url: str, namespace: str, heartbeat: int
) -> None:
    async with (
        proxy_to(broker_url) as (proxy, through),
        publishing_to(broker_url, namespace, 600, through, heartbeat) as line,
    ):
        line.send(0)
        await wait_until(lambda: line.confirmed == [0], "the first confirm")
        if heartbeat == 1:
            assert proxy.stall_those_who_said(b"publishing") == 1
        else:
            proxy.cut()
        line.send(1)
        await wait_until(lambda: "opened anew" in line.publisher.trouble, "the loss", 30)
        line.send(2)  # while there is none
        proxy.restore()
        await wait_until(lambda: line.confirmed == [0, 1, 2], "the others", 30)


async def test_what_was_deleted_meanwhile_is_declared_with_the_next_line(
    broker_url: str, namespace: str
) -> None:
    async with publishing_to(broker_url, namespace) as line:
        exchange = build_topology(namespace, "native", 20).exchanges[0].name
        await line.watching.exchange_delete(exchange)
        properties = Basic.Properties(message_id="m", delivery_mode=2)
        then = partial(line.confirmed.append, 1)
        # The broker answers an exchange that is not there by closing the channel.
        line.publisher.publish(Outgoing(exchange, "x", properties, b"body", False, then))
        await wait_until(lambda: line.confirmed == [1], "the confirm")


async def test_nothing_is_confirmed_by_a_publisher_that_is_closed(
    broker_url: str, namespace: str
) -> None:
    async with publishing_to(broker_url, namespace) as line:
        line.send(0)
        await line.publisher.close()
        line.send(1)
        assert line.confirmed == []


@pytest.mark.timeout(180)
async def test_while_the_broker_has_an_alarm_nothing_is_sent_again(
    own_broker: RunningBroker, namespace: str
) -> None:
    async with publishing_to(own_broker.url, namespace, 0.3) as line:
        await asyncio.to_thread(own_broker.ctl, "set_vm_memory_high_watermark", "0.0000001")
        line.send(0)
        # The broker blocks who publishes; what it was given by then it may have taken in.
        await wait_until(lambda: line.publisher.trouble, "the alarm", 30)
        assert "the broker takes no messages: low on memory" in line.publisher.trouble
        for number in range(1, 20):
            line.send(number)
        await asyncio.sleep(2)  # many times longer than a confirm is waited for: the case itself
        assert set(line.confirmed) <= {0}
        await asyncio.to_thread(own_broker.ctl, "set_vm_memory_high_watermark", "0.9")
        await wait_until(lambda: len(line.confirmed) == 20, "every confirm", 30)
        assert line.publisher.trouble == ""
        assert await line.ids() == [f"m{number}" for number in range(20)]

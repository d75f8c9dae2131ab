"""Sessions with the broker: one follows the other, however the last one ended."""

from __future__ import annotations

import asyncio

import aio_pika
from pydantic import SecretStr

from devtools.waiting import wait_until
from worker.broker.acknowledging import Acknowledging
from worker.broker.headers import most_body_bytes
from worker.broker.message import Host, Incoming
from worker.broker.session_settings import SessionSettings, address_of
from worker.broker.supervisor import Counts, Supervisor
from worker.broker.topology import build_topology, declare
from worker.settings import WorkerSettings
from worker.wire.connecting import connect


class _LosesTheLine:
    """With its first message the line ends between two frames, which aiormq calls no reason."""

    def __init__(self) -> None:
        self.taken = 0
        self.came_again = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None

    def handle(self, message: Incoming) -> None:
        self.taken += 1
        if self.taken == 1:
            assert isinstance(message._holder, Acknowledging)
            channel = message._holder._channel
            self._closing = asyncio.create_task(channel.connection.close(None))
        else:
            message.done()
            self.came_again.set()

    def give_back(self, host: Host) -> None:
        """It keeps what it has."""

    def session_ended(self, host: Host) -> None:
        """It keeps nothing."""


async def test_a_line_that_ends_between_two_frames_while_a_session_opens(
    broker_url: str, namespace: str
) -> None:
    settings = WorkerSettings(amqp_url=SecretStr(broker_url), namespace=namespace)
    topology = build_topology(namespace, "native", settings.delivery_limit)
    async with await connect(address_of(settings), "test") as connection:
        await declare(connection, topology)
        channel = await connection.channel()
        await channel.default_exchange.publish(aio_pika.Message(b"x"), topology.names.events)
    handler = _LosesTheLine()
    sessions = Supervisor(SessionSettings.of(settings), topology, handler)
    running = asyncio.create_task(sessions.run())
    async with asyncio.timeout(20):
        coming = asyncio.create_task(handler.came_again.wait())
        await asyncio.wait({running, coming}, return_when=asyncio.FIRST_COMPLETED)
        sessions.stop()
        await asyncio.gather(running, coming)
    assert sessions.reconnects == 1


async def test_what_is_refused_is_counted_over_all_sessions(
    broker_url: str, namespace: str
) -> None:
    settings = WorkerSettings(amqp_url=SecretStr(broker_url), namespace=namespace)
    topology = build_topology(namespace, "native", settings.delivery_limit)
    handler = _LosesTheLine()
    sessions = Supervisor(SessionSettings.of(settings), topology, handler)
    async with await connect(address_of(settings), "test") as connection:
        await declare(connection, topology)
        channel = await connection.channel()

        async def publish(body: bytes) -> None:
            await channel.default_exchange.publish(aio_pika.Message(body), topology.names.events)

        async def is_buried() -> bool:
            letters = await channel.declare_queue(topology.names.dead_letters, passive=True)
            return letters.declaration_result.message_count == 1

        running = asyncio.create_task(sessions.run())
        await publish(b"x" * (most_body_bytes(settings.max_event_bytes) + 1))
        await wait_until(is_buried, "a dead letter")
        # It may have come while the session was still being opened, which is not told of before.
        await wait_until(lambda: sessions.session is not None, "the session to be open")
        assert sessions.refused == 1
        await publish(b"x")
        await wait_until(handler.came_again.is_set, "another session")
        assert sessions.refused == 1
        sessions.stop()
        await running
    assert sessions.refused == 1


class _EndsEachWay:
    """Records a message, acknowledges one without a word, fails with one, and keeps one."""

    def handle(self, message: Incoming) -> None:
        match message.body:
            case b"recorded":
                message.done_on_record()
            case b"forgotten":
                message.done()
            case b"fails":
                raise RuntimeError

    def give_back(self, host: Host) -> None:
        """It keeps what it has."""

    def session_ended(self, host: Host) -> None:
        """It keeps nothing."""


async def test_what_was_acknowledged_and_what_was_put_on_record_are_counted_apart(
    broker_url: str, namespace: str
) -> None:
    settings = WorkerSettings(
        amqp_url=SecretStr(broker_url), namespace=namespace, shutdown_timeout_seconds=1
    )
    topology = build_topology(namespace, "native", settings.delivery_limit)
    async with await connect(address_of(settings), "test") as connection:
        await declare(connection, topology)
        channel = await connection.channel()
        for body in (b"recorded", b"forgotten", b"fails", b"kept"):
            message = aio_pika.Message(body)
            await channel.default_exchange.publish(message, topology.names.events)
    sessions = Supervisor(SessionSettings.of(settings), topology, _EndsEachWay())
    running = asyncio.create_task(sessions.run())
    await wait_until(lambda: sessions.counts.taken == 4, "all messages")
    assert sessions.counts == Counts(taken=4, settled=3, in_hand=1, returned=0, receipted=2)
    sessions.stop()
    await running
    assert sessions.counts == Counts(taken=4, settled=3, in_hand=0, returned=1, receipted=2)

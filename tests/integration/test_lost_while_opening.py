"""A line that is lost while a worker waits for an answer on it: another session follows.

aiormq cancels what waits then, though nobody wanted that: where it took this for an order, a worker
that stood by ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aio_pika.abc import AbstractConnection
from pydantic import SecretStr
from yarl import URL

from devtools.proxy import TcpProxy, through
from devtools.waiting import wait_until
from worker.broker.message import Host, Incoming
from worker.broker.publishing_connection import Connections, PublishingConnection
from worker.broker.queue_locks import acquire_lock
from worker.broker.receipts_stream import declare_stream, receipts_queue
from worker.broker.session import Session
from worker.broker.session_settings import SessionSettings, address_of
from worker.broker.supervisor import Supervisor
from worker.broker.topology import build_topology
from worker.ledger.stream_batches import RecordFeed
from worker.settings import WorkerSettings
from worker.wire.connecting import BrokerAddress, connect


class _Nobody:
    def handle(self, message: Incoming) -> None:
        """It gets none."""

    def give_back(self, host: Host) -> None:
        """It keeps what it has."""

    def session_ended(self, host: Host) -> None:
        """It keeps nothing."""


@pytest.fixture
async def line(broker_url: str) -> AsyncIterator[TcpProxy]:
    address = URL(broker_url)
    async with TcpProxy(address.host or "", address.port or 0) as opened:
        yield opened


async def _lose(connection: AbstractConnection) -> None:
    """As aiormq does by itself when its reader was ended."""
    assert connection.transport is not None
    await connection.transport.connection.close()


async def test_a_worker_that_stands_by_asks_again_and_takes_over(
    broker_url: str, namespace: str, line: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def may_consume(session: Session) -> bool:
        nonlocal asked
        asked += 1
        if asked != 2:
            return await usual(session)
        assert session._connection is not None
        line.hold_answers()
        losing = asyncio.create_task(_lose(session._connection))
        try:
            return await usual(session)
        finally:
            line.restore()
            await losing

    usual = Session.may_consume
    monkeypatch.setattr(Session, "may_consume", may_consume)
    url = SecretStr(through(broker_url, line.port))
    settings = WorkerSettings(amqp_url=url, namespace=namespace, watch_seconds=0.05)
    topology = build_topology(namespace, "native", settings.delivery_limit)
    broker = Supervisor(SessionSettings.of(settings), topology, _Nobody())
    async with await connect(address_of(settings), "test") as other:
        assert await acquire_lock(other, topology.names.single_worker)
        running = asyncio.create_task(broker.run())
        await wait_until(lambda: asked > 2 or running.done(), "the next session to ask")
        assert (broker.reconnects, running.done()) == (1, False)
    await wait_until(lambda: broker.session is not None, "it to take over", 60)
    broker.stop()
    await running


async def test_a_connection_that_is_lost_before_it_can_publish_is_told_as_lost(
    broker_url: str, line: TcpProxy
) -> None:
    losing: list[asyncio.Task[None]] = []

    async def declare(connection: AbstractConnection) -> None:
        line.hold_answers()
        losing.append(asyncio.create_task(_lose(connection)))
        await connection.channel()

    address = BrokerAddress(SecretStr(through(broker_url, line.port)), 60)
    connections = Connections(lambda: PublishingConnection(address, declare))
    with pytest.raises(ConnectionError, match="lost"):
        await connections.opened(lambda _: None)
    line.restore()
    await asyncio.gather(*losing)
    await connections.all_closed()


async def test_a_ledger_is_told_that_the_line_was_lost_on_which_it_began_to_read(
    broker_url: str, namespace: str, line: TcpProxy
) -> None:
    """It reads on by another one then, as after any loss."""
    queue = receipts_queue(namespace, 1, 50_000_000)
    async with await connect(BrokerAddress(SecretStr(broker_url), 60), "test") as other:
        await declare_stream(other, queue)
    feed = RecordFeed(BrokerAddress(SecretStr(through(broker_url, line.port)), 60), queue.name)
    await feed.open()
    assert feed._connection is not None
    line.hold_answers()
    losing = asyncio.create_task(_lose(feed._connection))
    with pytest.raises(ConnectionError):
        await feed.look("first")
    line.restore()
    await losing
    await feed.close()

"""Workers without a shared store: one consumes, the others stand by and take over."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aio_pika
import pytest
import structlog
from pydantic import SecretStr

from devtools.proxy import TcpProxy, through
from devtools.stack import Stack, event
from devtools.waiting import wait_until
from worker.adobe.endpoints import INSECURE
from worker.broker.declare_refusals import TopologyConflict
from worker.broker.message import Host, Incoming
from worker.broker.queue_locks import acquire_lock
from worker.broker.session import Session
from worker.broker.session_settings import SessionSettings, address_of
from worker.broker.supervisor import Supervisor
from worker.broker.topology import build_topology, declare
from worker.settings import WorkerSettings
from worker.wire.connecting import connect


@pytest.fixture
async def stack(broker_url: str, namespace: str) -> AsyncIterator[Stack]:
    async with Stack(broker_url, namespace) as running:
        running.add_integration("shop")
        yield running


def _told(stack: Stack, event_name: str) -> int:
    return [one["event"] for one in stack.log_entries()].count(event_name)


async def _consumers(stack: Stack) -> int:
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(f"{stack.namespace}.events", passive=True)
        return queue.declaration_result.consumer_count or 0


async def _stands_by(stack: Stack) -> bool:
    """Whether the worker that started last says so."""
    status, answer = await stack.get("/readyz")
    document = json.loads(answer)
    return status == 200 and any(
        note.startswith("stands by") and f"{stack.namespace}.single-worker" in note
        for note in document["notes"]
    )


async def _has_nothing_to_say(stack: Stack) -> bool:
    document = json.loads((await stack.get("/readyz"))[1])
    return bool(document == {"ready": True, "problems": [], "notes": [INSECURE]})


async def _publish(stack: Stack, user: str) -> None:
    await stack.publish([json.dumps(event("org-shop", user)).encode()])
    await wait_until(lambda: user in stack.delivered("shop"), f"the event of {user}")


async def test_the_second_stands_by_and_takes_over_from_one_that_was_killed(stack: Stack) -> None:
    first = stack.start_worker()
    await stack.wait_until_consuming()
    stack.start_worker()
    await wait_until(lambda: _told(stack, "worker.started") == 2, "the second", 60)
    await wait_until(lambda: _stands_by(stack), "the second to stand by", 60)
    await _publish(stack, "lena@a.example")
    assert await _consumers(stack) == 1
    assert _told(stack, "broker.connected") == 1
    first.send_signal(signal.SIGKILL)
    await wait_until(lambda: _told(stack, "worker.takes_over") == 1, "the second to take over", 60)
    await _publish(stack, "ole@a.example")
    await wait_until(lambda: _has_nothing_to_say(stack), "no more notes")
    assert "broker.session_lost" not in stack.log_text()


async def test_who_lost_the_line_stands_by_when_another_has_taken_over(stack: Stack) -> None:
    address = urlsplit(stack.amqp_url)
    async with TcpProxy(address.hostname or "", address.port or 0) as line:
        stack.start_worker()
        await stack.wait_until_consuming()
        stack.override("AMQP_URL", through(stack.amqp_url, line.port))
        behind = stack.start_worker()
        await wait_until(lambda: _told(stack, "worker.stands_by") == 1, "it to stand by", 60)
        stack.workers[0].send_signal(signal.SIGTERM)
        await wait_until(
            lambda: _told(stack, "worker.takes_over") == 1, "a clean end is one too", 60
        )
        await _publish(stack, "lena@a.example")
        stack.override("AMQP_URL", stack.amqp_url)
        stack.start_worker()
        await wait_until(lambda: _told(stack, "worker.stands_by") == 2, "the third to stand by", 60)
        line.stall()  # nothing tells the broker nor the worker but their heartbeats
        await wait_until(lambda: _told(stack, "worker.takes_over") == 2, "the third", 60)
        line.restore()
        await wait_until(
            lambda: _told(stack, "worker.stands_by") == 3, "the one behind the line", 60
        )
        await _publish(stack, "ole@a.example")
        assert behind.poll() is None
        assert await _consumers(stack) == 1


async def test_a_worker_that_stands_by_ends_when_told_to(stack: Stack) -> None:
    stack.start_worker()
    await stack.wait_until_consuming()
    second = stack.start_worker()
    await wait_until(lambda: _told(stack, "worker.stands_by") == 1, "it to stand by", 60)
    second.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(second.wait, 10) == 0


async def test_while_the_broker_is_away_no_worker_stands_by_ready(stack: Stack) -> None:
    stack.start_worker()
    await stack.wait_until_consuming()
    address = urlsplit(stack.amqp_url)
    async with TcpProxy(address.hostname or "", address.port or 0) as line:
        stack.override("AMQP_URL", through(stack.amqp_url, line.port))
        stack.start_worker()
        await wait_until(lambda: _told(stack, "worker.stands_by") == 1, "it to stand by", 60)
        line.cut()
        await wait_until(stack.is_unready, "it to say that the broker is away")
        line.restore()
        await wait_until(lambda: _stands_by(stack), "it to stand by again")


async def test_a_plain_queue_of_that_name_is_no_lock_to_wait_for(stack: Stack) -> None:
    name = f"{stack.namespace}.single-worker"
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel()
        await channel.declare_queue(name, durable=True)
        worker = stack.start_worker()
        assert await asyncio.to_thread(worker.wait, 60) == 3
        assert f"queue {name} is to be a lock" in stack.log_text()
        await channel.queue_delete(name)


class _Nobody:
    def handle(self, message: Incoming) -> None:
        """It gets none."""

    def give_back(self, host: Host) -> None:
        """It keeps what it has."""

    def session_ended(self, host: Host) -> None:
        """It keeps nothing."""


@pytest.mark.parametrize("is_taken", [False, True], ids=["free", "taken by another"])
async def test_a_lock_that_was_deleted_under_its_holder(
    broker_url: str, namespace: str, is_taken: bool
) -> None:
    """As a policy with `expires` does. It is taken again, or the session ends."""
    settings = WorkerSettings(amqp_url=SecretStr(broker_url), namespace=namespace)
    topology = build_topology(namespace, "native", settings.delivery_limit)
    lock = topology.names.single_worker
    session = Session(SessionSettings.of(settings), topology, _Nobody())
    async with await connect(address_of(settings), "test") as other:
        await session.connect()
        assert await session.may_consume()
        await session.open()
        try:
            assert not await acquire_lock(other, lock)
            assert session._connection is not None
            channel = await session._connection.channel()
            await channel.queue_delete(lock)
            if is_taken:
                assert await acquire_lock(other, lock)
            await session.check(60)
            assert session.lost.is_set() is is_taken
            if is_taken:
                assert session.loss_reason == "another worker without a shared store consumes"
            else:
                assert not await acquire_lock(other, lock)
        finally:
            await session.close()
    async with await connect(address_of(settings), "test") as other:
        await wait_until(lambda: acquire_lock(other, lock), "the lock to be free")


async def test_one_line_tells_of_it_however_often_the_lock_is_asked_for(
    broker_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def may_consume(session: Session) -> bool:
        nonlocal asked
        asked += 1
        return await usual(session)

    usual = Session.may_consume
    monkeypatch.setattr(Session, "may_consume", may_consume)
    settings = WorkerSettings(
        amqp_url=SecretStr(broker_url), namespace=namespace, watch_seconds=0.05
    )
    broker = Supervisor(
        SessionSettings.of(settings), build_topology(namespace, "native", 20), _Nobody()
    )
    async with await connect(address_of(settings), "test") as other:
        assert await acquire_lock(other, f"{namespace}.single-worker")
        with structlog.testing.capture_logs() as logs:
            running = asyncio.create_task(broker.run())
            await wait_until(lambda: asked >= 5, "some tries")
            broker.stop()
            await running
    assert [one["event"] for one in logs] == ["worker.stands_by"]


async def test_with_a_shared_store_nobody_needs_a_lock(
    broker_url: str, redis_url: str, namespace: str
) -> None:
    settings = WorkerSettings(
        amqp_url=SecretStr(broker_url), namespace=namespace, state_url=SecretStr(redis_url)
    )
    topology = build_topology(namespace, "native", settings.delivery_limit)
    brokers = [Supervisor(SessionSettings.of(settings), topology, _Nobody()) for _ in range(2)]
    running = [asyncio.create_task(one.run()) for one in brokers]
    await wait_until(lambda: all(one.session for one in brokers), "both sessions")
    async with await connect(address_of(settings), "test") as other:
        assert await acquire_lock(other, topology.names.single_worker), "nobody has it"
    for one in brokers:
        one.stop()
    await asyncio.gather(*running)


async def test_a_plain_queue_is_said_by_its_name(broker_url: str, namespace: str) -> None:
    settings = WorkerSettings(amqp_url=SecretStr(broker_url), namespace=namespace)
    async with await connect(address_of(settings), "test") as other:
        await declare(other, build_topology(namespace, "native", settings.delivery_limit))
        with pytest.raises(TopologyConflict, match=rf"{namespace}\.events"):
            await acquire_lock(other, f"{namespace}.events")

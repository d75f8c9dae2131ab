"""Acknowledgements in ranges, on a real broker: any order of settling leaves the queue empty."""

from __future__ import annotations

import random

import aio_pika
from pydantic import SecretStr

from devtools.waiting import wait_until
from worker.broker.consumer import Incoming
from worker.broker.session import Session, connect
from worker.broker.topology import build_topology, declare
from worker.broker.window import Window
from worker.settings import WorkerSettings

MESSAGES = 1_500


class _SettlesInAnyOrder:
    """Settles all but a few of what it holds, in a random order, whenever that has become many."""

    def __init__(self) -> None:
        self._random = random.Random(7)
        self._held: list[Incoming] = []
        self.bodies: list[bytes] = []

    def take(self, message: Incoming) -> None:
        self.bodies.append(message.body)
        self._held.append(message)
        is_last = len(self.bodies) == MESSAGES
        if len(self._held) == 300 or is_last:
            self._random.shuffle(self._held)
            while len(self._held) > (0 if is_last else 20):
                self._held.pop().settle()

    def forget(self, session: Session) -> None:
        self._held.clear()


async def test_messages_settled_in_any_order_are_acknowledged_once_each(
    broker_url: str, namespace: str
) -> None:
    settings = WorkerSettings(amqp_url=SecretStr(broker_url), namespace=namespace)
    handler = _SettlesInAnyOrder()
    topology = build_topology(namespace, "native", settings.delivery_limit)
    session = Session(settings, topology, handler)
    connection = await connect(settings, "test")
    channel = await connection.channel()
    await declare(connection, topology)
    window = Window(500)
    for number in range(MESSAGES):
        message = aio_pika.Message(str(number).encode())
        await window.add(channel.default_exchange.publish(message, topology.names.events))
    await window.drain()
    await session.open()
    await wait_until(
        lambda: session.lost.is_set() or len(handler.bodies) >= MESSAGES, "every message", 60
    )
    assert session.loss_reason == ""
    await session.drain(10)
    await session.close()
    left = await channel.declare_queue(topology.names.events, passive=True)
    assert left.declaration_result.message_count == 0
    assert len(handler.bodies) == len(set(handler.bodies)) == MESSAGES
    await connection.close()

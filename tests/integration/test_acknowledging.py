"""Acknowledgements in ranges, on a real broker: any order of settling leaves the queue empty."""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import aio_pika
import pytest
from aio_pika.abc import AbstractExchange
from pydantic import SecretStr

from devtools.waiting import wait_until
from tests.integration.tls import make_certificate, tls_line
from worker.broker.bounded_tasks import InFlight
from worker.broker.headers import RETURNS
from worker.broker.message import Handler, Host, Incoming
from worker.broker.session import Session
from worker.broker.session_settings import SessionSettings, address_of
from worker.broker.topology import build_topology, declare
from worker.settings import WorkerSettings
from worker.wire.connecting import connect
from worker.wire.property_reader import has_headers

MESSAGES = 1_500


class _SettlesInAnyOrder:
    """Settles all but a few of what it holds, in a random order, whenever that has become many."""

    def __init__(self) -> None:
        self._random = random.Random(7)
        self._held: list[Incoming] = []
        self.bodies: list[bytes] = []

    def handle(self, message: Incoming) -> None:
        self.bodies.append(message.body)
        self._held.append(message)
        is_last = len(self.bodies) == MESSAGES
        if len(self._held) == 300 or is_last:
            self._random.shuffle(self._held)
            while len(self._held) > (0 if is_last else 20):
                self._held.pop().done()

    def give_back(self, host: Host) -> None:
        """It keeps what it has."""

    def session_ended(self, host: Host) -> None:
        self._held.clear()


class _KeepsSome:
    """Settles each message at once, but for those of `kept`."""

    def __init__(self, *kept: bytes) -> None:
        self._kept = kept
        self.held: list[Incoming] = []
        self.bodies: list[bytes] = []
        self.returned = 0

    def handle(self, message: Incoming) -> None:
        self.bodies.append(message.body)
        self.returned += RETURNS in message.headers
        if message.body in self._kept:
            self.held.append(message)
        else:
            message.done()

    def give_back(self, host: Host) -> None:
        """It keeps what it has."""

    def session_ended(self, host: Host) -> None:
        self.held.clear()


class _Bench:
    """A session that is open, and what publishes for it."""

    def __init__(self, url: str, namespace: str, handler: Handler, **settings: Any) -> None:
        self.settings = WorkerSettings(amqp_url=SecretStr(url), namespace=namespace, **settings)
        self.topology = build_topology(namespace, "native", self.settings.delivery_limit)
        self.names = self.topology.names
        self.session = Session(SessionSettings.of(self.settings), self.topology, handler)

    async def __aenter__(self) -> Self:
        self._connection = await connect(address_of(self.settings), "test")
        self.channel = await self._connection.channel()
        await declare(self._connection, self.topology)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        await self._connection.close()

    async def publish(self, queue: str, bodies: Iterable[bytes]) -> None:
        in_flight = InFlight(500)
        exchange = self.channel.default_exchange
        for body in bodies:
            await in_flight.add(_sent(exchange, body, queue))
        await in_flight.drain()

    async def left(self, queue: str) -> int:
        """After the session is closed: messages that were not acknowledged."""
        declared = await self.channel.declare_queue(queue, passive=True)
        return declared.declaration_result.message_count or 0


async def _sent(exchange: AbstractExchange, body: bytes, queue: str) -> None:
    await exchange.publish(aio_pika.Message(body), queue)


async def _open_with_retries(bench: _Bench, count: int) -> None:
    """Open the session with retries and one fresh event waiting."""
    await bench.publish(bench.names.retries, [b"retry"] * count)
    await bench.publish(bench.names.events, [b"fresh"])
    await bench.session.open()


async def test_messages_settled_in_any_order_are_acknowledged_once_each(
    broker_url: str, namespace: str
) -> None:
    handler = _SettlesInAnyOrder()
    async with _Bench(broker_url, namespace, handler) as bench:
        session = bench.session
        await bench.publish(bench.names.events, (str(one).encode() for one in range(MESSAGES)))
        await session.open()
        await wait_until(
            lambda: session.lost.is_set() or len(handler.bodies) >= MESSAGES, "every message", 60
        )
        assert session.loss_reason == ""
        await session.drain(10)
        await session.close()
        assert await bench.left(bench.names.events) == 0
    assert len(handler.bodies) == len(set(handler.bodies)) == MESSAGES


async def test_messages_come_by_tls(broker_url: str, namespace: str, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    handler = _KeepsSome()
    async with tls_line(broker_url, certificate, key) as port:
        there = urlsplit(broker_url)
        url = there._replace(
            scheme="amqps",
            netloc=f"{there.username}:{there.password}@127.0.0.1:{port}",
            query=f"cafile={certificate}",
        ).geturl()
        async with _Bench(url, namespace, handler) as bench:
            long = b"x" * 300_000  # in frames of 128 KiB
            await bench.publish(bench.names.events, [b"short", long])
            await bench.session.open()
            await wait_until(lambda: len(handler.bodies) == 2, "both")
            await bench.session.drain(10)
            await bench.session.close()
            assert await bench.left(bench.names.events) == 0
        assert handler.bodies == [b"short", long]


async def test_a_message_that_stays_does_not_hold_up_those_after_it(
    broker_url: str, namespace: str
) -> None:
    """Nor is its consumer ever cancelled: what a cancelled one holds is stuck when a node dies."""
    handler = _KeepsSome(*(b"stays %d" % number for number in range(5)))
    async with _Bench(broker_url, namespace, handler, prefetch_events=50) as bench:
        session = bench.session
        events = bench.names.events
        await session.open()
        published = 0
        for stays in range(5):
            bodies = [b"stays %d" % stays]
            bodies += [b"%d" % number for number in range(published, published + 400)]
            await bench.publish(events, bodies)
            published += len(bodies)
            await wait_until(
                partial(lambda due: session.lost.is_set() or len(handler.bodies) >= due, published),
                "every message",
            )
        assert session.loss_reason == ""
        await wait_until(lambda: session.intakes[0].in_hand == 5, "all but those that stay")
        for message in handler.held:
            message.done()
        await bench.publish(events, [b"last"])
        await wait_until(lambda: handler.bodies[-1] == b"last", "one more message")
        await session.drain(10)
        assert session.loss_reason == ""
        await session.close()
        assert await bench.left(events) == 0
    assert len(handler.bodies) == len(set(handler.bodies)) == published + 1
    assert handler.returned == 0


async def test_what_stays_is_given_back_when_the_session_closes(
    broker_url: str, namespace: str
) -> None:
    handler = _KeepsSome(b"0", b"100")
    async with _Bench(broker_url, namespace, handler, prefetch_events=20) as bench:
        session = bench.session
        await bench.publish(bench.names.events, (str(one).encode() for one in range(200)))
        await session.open()
        await wait_until(lambda: len(handler.bodies) >= 200, "every message")
        await session.drain(0.1)
        await session.close()
        assert await bench.left(bench.names.events) == 2


async def test_retries_go_more_slowly_while_fresh_events_come_and_end_all_the_same(
    broker_url: str, namespace: str
) -> None:
    handler = _KeepsSome()
    async with _Bench(broker_url, namespace, handler, prefetch_retries=100) as bench:
        await _open_with_retries(bench, 5_000)
        for _ in range(50):
            fresh = handler.bodies.count(b"fresh")
            await bench.publish(bench.names.events, [b"fresh"])
            await wait_until(
                partial(lambda old: handler.bodies.count(b"fresh") > old, fresh), "a fresh event"
            )
        assert handler.bodies.count(b"retry") < 4_000
        await wait_until(lambda: handler.bodies.count(b"retry") == 5_000, "every retry", 60)
        await bench.session.drain(10)
        await bench.session.close()
        assert await bench.left(bench.names.retries) == 0


async def test_what_gives_way_is_acknowledged_when_the_worker_stops(
    broker_url: str, namespace: str
) -> None:
    handler = _KeepsSome()
    async with _Bench(broker_url, namespace, handler) as bench:
        await _open_with_retries(bench, 3_000)
        await wait_until(lambda: handler.bodies.count(b"retry") >= 100, "retries")
        await bench.publish(bench.names.events, [b"fresh"] * 100)
        await bench.session.drain(10)
        await bench.session.close()
        assert await bench.left(bench.names.retries) == 3_000 - handler.bodies.count(b"retry")


@pytest.mark.parametrize("fails_at", ["reading", "handling"])
async def test_what_raises_concerns_its_message_alone(
    broker_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch, fails_at: str
) -> None:
    """It becomes a dead letter, and the intake does not count it as in hand."""
    handler = _KeepsSome()
    if fails_at == "reading":
        monkeypatch.setattr(
            "worker.broker.message.has_headers", lambda data: has_headers(_not_long(data))
        )
    else:
        handle = handler.handle
        monkeypatch.setattr(handler, "handle", lambda one: handle(_with_short_body(one)))
    long_name = "x" * 200
    async with _Bench(broker_url, namespace, handler, prefetch_events=10) as bench:
        session, events = bench.session, bench.names.events
        await session.open()
        for round_number in range(3):
            for body in (b"good", b"bad" * 100, b"good"):
                name = long_name if body.startswith(b"bad") else None
                await bench.channel.default_exchange.publish(
                    aio_pika.Message(body, message_id=name), events
                )
            due = 2 * (round_number + 1)
            await wait_until(
                partial(lambda due: handler.bodies.count(b"good") == due, due), "the good ones"
            )
            await wait_until(lambda: session.in_hand == 0, "an empty hand")
        assert session.refused == 3
        assert session.loss_reason == ""
        await session.drain(10)
        await session.close()
        assert await bench.left(events) == 0
        assert await bench.left(bench.names.dead_letters) == 3
    assert handler.bodies == [b"good"] * 6


def _not_long(data: bytes) -> bytes:
    if len(data) > 200:
        raise RuntimeError("staged")
    return data


def _with_short_body(message: Incoming) -> Incoming:
    _not_long(message.body)
    return message

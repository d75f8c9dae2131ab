"""The door while RabbitMQ is away, blocked, full, silent or restarted: each 202 is on the queue."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import aio_pika
import aiohttp
import pytest
from yarl import URL

from devtools.broker import RunningBroker, running_broker
from devtools.proxy import TcpProxy, through
from devtools.waiting import wait_until
from tests.integration.door.door_parts import (
    RunningDoor,
    bodies_on_the_queue,
    ids_in,
    running_door,
    webhook_bytes,
)
from worker.broker.queue_names import Names
from worker.door import event_publishing

POSTERS = 20
FEW_SECONDS = 3.0
"""On a machine that has other work."""


@pytest.fixture(scope="module")
def lone_broker() -> Iterator[RunningBroker]:
    """A broker of these tests alone, to be restarted and blocked."""
    with running_broker() as started:
        yield started


@pytest.fixture
async def proxy(broker_url: str) -> AsyncIterator[TcpProxy]:
    address = URL(broker_url)
    async with TcpProxy(address.host or "", address.port or 0) as opened:
        yield opened


class Load:
    """Posts until it is stopped, as many at once as there are posters."""

    def __init__(self, door: RunningDoor) -> None:
        self._door = door
        self._is_stopped = False
        self.accepted: set[str] = set()
        self.refused: list[str] = []
        self.slowest_seconds = 0.0

    async def _post(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._is_stopped:
            event_id = str(uuid.uuid4())
            began = loop.time()
            with suppress(aiohttp.ClientConnectionError):
                status, code = await self._door.code(webhook_bytes(event_id))
                if status == 202:
                    self.accepted.add(event_id)
                else:
                    self.refused.append(code)
                    await asyncio.sleep(0.1)  # as Didomi, which does not ask again at once
            self.slowest_seconds = max(self.slowest_seconds, loop.time() - began)

    async def __aenter__(self) -> Load:
        self._tasks = [asyncio.create_task(self._post()) for _ in range(POSTERS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_stopped = True
        await asyncio.gather(*self._tasks)

    async def more(self, events: int = 100) -> None:
        """Wait until so many more are accepted."""
        enough = len(self.accepted) + events
        await wait_until(lambda: len(self.accepted) >= enough, f"{events} more events", 60)


@pytest.mark.timeout(180)
async def test_through_a_restart_and_an_alarm_every_accepted_event_is_on_the_queue(
    lone_broker: RunningBroker, namespace: str
) -> None:
    watermark = "set_vm_memory_high_watermark"
    async with running_door(lone_broker.url, namespace, door_answer_seconds=3.0) as door:
        async with Load(door) as load:
            await load.more()
            await asyncio.to_thread(lone_broker.restart)
            await load.more()
            await asyncio.to_thread(lone_broker.ctl, watermark, "0.0000001")
            await wait_until(lambda: "broker-blocked" in load.refused, "the alarm to be told", 30)
            assert (await door.get("/readyz"))[0] == 503
            await asyncio.to_thread(lone_broker.ctl, watermark, "0.9")
            await load.more()
        assert set(load.refused) <= {"broker-away", "broker-blocked", "broker-late"}
        assert load.slowest_seconds < 3.0 + FEW_SECONDS
        found = ids_in(await bodies_on_the_queue(lone_broker.url, namespace))
        assert load.accepted - found == set()


async def test_a_blocked_broker_is_told_at_once(lone_broker: RunningBroker, namespace: str) -> None:
    watermark = "set_vm_memory_high_watermark"
    loop = asyncio.get_running_loop()
    async with running_door(lone_broker.url, namespace, door_answer_seconds=30.0) as door:
        await asyncio.to_thread(lone_broker.ctl, watermark, "0.0000001")
        try:
            # RabbitMQ blocks who publishes, and says so only then.
            first = asyncio.create_task(door.code(webhook_bytes()))
            assert await asyncio.wait_for(first, 15) == (503, "broker-blocked")
            began = loop.time()
            status, document, headers = await door.post(webhook_bytes())
            assert (status, document["error"]) == (503, "broker-blocked")
            assert int(headers["Retry-After"]) > 0
            assert loop.time() - began < FEW_SECONDS
        finally:
            await asyncio.to_thread(lone_broker.ctl, watermark, "0.9")
        await wait_until(door.is_ready, "the end of the alarm", 30)
        assert await door.code(webhook_bytes()) == (202, "accepted")


@pytest.mark.timeout(240)
async def test_a_full_queue_is_told_and_the_event_is_not_accepted(
    lone_broker: RunningBroker, namespace: str
) -> None:
    """The door stays ready, or no webhook would find out that there is room again."""
    policy = ("bound", f"^{namespace}[.]events$", '{"max-length": 2}')
    async with running_door(lone_broker.url, namespace) as door:
        await asyncio.to_thread(lone_broker.ctl, "set_policy", "--apply-to", "queues", *policy)
        try:
            accepted = set()
            codes = set()
            for number in range(60):  # a quorum queue refuses a moment after it is full
                code = await door.code(webhook_bytes(f"ev-{number}"))
                codes.add(code)
                if code[0] == 202:
                    accepted.add(f"ev-{number}")
            assert codes == {(202, "accepted"), (503, "queue-full")}
            status, said = await door.get("/readyz")
            assert status == 200
            assert "the queue takes no event: it is full, or not there" in said
        finally:
            await asyncio.to_thread(lone_broker.ctl, "clear_policy", "bound")
        assert ids_in(await bodies_on_the_queue(lone_broker.url, namespace)) == accepted
        # RabbitMQ 3.10 goes on refusing until the door connects anew.
        await wait_until(partial(_is_taken, door), "an event to be taken again", 90)
        assert await door.is_ready()
        assert not await _notes(door, "the queue takes no event")


QUEUES = ("events", "events.2", "events.3")


async def test_events_are_spread_over_the_queues(broker_url: str, namespace: str) -> None:
    async with running_door(broker_url, namespace, event_queues=QUEUES) as door:
        ids = [f"ev-{number}" for number in range(9)]
        codes = [await door.code(webhook_bytes(one)) for one in ids]
        assert set(codes) == {(202, "accepted")}
        found = [ids_in(await bodies_on_the_queue(broker_url, namespace, one)) for one in QUEUES]
    assert [len(one) for one in found] == [3, 3, 3]
    assert set.union(*found) == set(ids)


@pytest.mark.timeout(240)
async def test_a_queue_that_is_full_leaves_its_turns_to_the_others(
    lone_broker: RunningBroker, namespace: str
) -> None:
    policy = ("bound", f"^{namespace}[.]events[.]2$", '{"max-length": 2}')
    async with running_door(lone_broker.url, namespace, event_queues=QUEUES) as door:
        await asyncio.to_thread(lone_broker.ctl, "set_policy", "--apply-to", "queues", *policy)
        try:
            loop = asyncio.get_running_loop()
            began = loop.time()
            codes = [await door.code(webhook_bytes(f"ev-{number}")) for number in range(120)]
            seconds = loop.time() - began
            assert set(codes) == {(202, "accepted"), (503, "queue-full")}
            assert codes.count((503, "queue-full")) <= seconds + 2, "one a second, not a third"
            status, said = await door.get("/readyz")
            assert status == 200
            assert f"no event is taken by {namespace}.events.2: it is full" in said
        finally:
            await asyncio.to_thread(lone_broker.ctl, "clear_policy", "bound")
        accepted = codes.count((202, "accepted"))
        found = [await bodies_on_the_queue(lone_broker.url, namespace, one) for one in QUEUES]
        assert sum(map(len, found)) == accepted
        # It has its turns again: RabbitMQ 3.10 goes on refusing until the door connects anew.
        await wait_until(partial(_is_taken_by_all, door), "all to take events", 90)


@pytest.mark.timeout(240)
async def test_another_connection_for_a_queue_that_is_full_costs_the_others_no_event(
    lone_broker: RunningBroker, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_publishing, "REFUSED_SECONDS", 1.0)
    policy = ("bound", f"^{namespace}[.]events[.]2$", '{"max-length": 2}')
    address = URL(lone_broker.url)
    async with TcpProxy(address.host or "", address.port or 0) as line:
        url = through(lone_broker.url, line.port)
        async with running_door(url, namespace, event_queues=QUEUES) as door:
            await asyncio.to_thread(lone_broker.ctl, "set_policy", "--apply-to", "queues", *policy)
            try:
                async with Load(door) as load:
                    for _ in range(3):
                        before = {*line._lines}
                        ended = partial(_has_ended_one, line, before)
                        await wait_until(ended, "the end of the connection that refuses", 60)
                assert set(load.refused) == {"queue-full"}
                assert (await door.get("/readyz"))[0] == 200
            finally:
                await asyncio.to_thread(lone_broker.ctl, "clear_policy", "bound")
            await wait_until(partial(_is_taken_by_all, door), "all to take events", 90)
            assert load.accepted


@pytest.mark.timeout(240)
async def test_a_queue_that_confirms_nothing_leaves_its_turns_to_the_others(
    lone_broker: RunningBroker, namespace: str
) -> None:
    leader = f'whereis(list_to_atom("%2F_{namespace}.events.2"))'
    answer_seconds = 3.0
    async with running_door(
        lone_broker.url, namespace, event_queues=QUEUES, door_answer_seconds=answer_seconds
    ) as door:
        async with Load(door) as load:
            await load.more()
            await asyncio.to_thread(lone_broker.ctl, "eval", f"sys:suspend({leader}).")
            try:
                await wait_until(partial(_notes, door, "confirmed by"), "the silence", 30)
                loop = asyncio.get_running_loop()
                ends_at = loop.time() + answer_seconds + event_publishing.STALLED_SECONDS + 2
                while loop.time() < ends_at:
                    await load.more()
                assert set(load.refused) <= {"broker-late"}
                assert len(load.refused) <= POSTERS + 1, "one of each, and one that tries it"
                assert (await door.get("/readyz"))[0] == 200
            finally:
                await asyncio.to_thread(lone_broker.ctl, "eval", f"sys:resume({leader}).")
            await wait_until(partial(_is_taken_by_all, door), "all to take events", 90)
        assert set(load.refused) <= {"broker-late"}
        found = [await bodies_on_the_queue(lone_broker.url, namespace, one) for one in QUEUES]
        assert load.accepted <= set.union(*map(ids_in, found))


def _has_ended_one(line: TcpProxy, connections: set[Any]) -> bool:
    return not connections.issubset(line._lines)


async def _notes(door: RunningDoor, text: str) -> bool:
    return text in (await door.get("/readyz"))[1]


async def _is_taken(door: RunningDoor) -> bool:
    return await door.code(webhook_bytes()) == (202, "accepted")


async def _is_taken_by_all(door: RunningDoor) -> bool:
    codes = [await door.code(webhook_bytes()) for _ in QUEUES]
    return set(codes) == {(202, "accepted")} and "no event" not in (await door.get("/readyz"))[1]


async def test_an_event_that_fits_no_queue_is_not_accepted(broker_url: str, namespace: str) -> None:
    names = Names(namespace)
    async with (
        running_door(broker_url, namespace) as door,
        await aio_pika.connect(broker_url) as connection,
    ):
        channel = await connection.channel()
        for queue in (names.events, names.dead_letters):
            await channel.queue_delete(queue)
        codes = await asyncio.gather(*(door.code(webhook_bytes()) for _ in range(20)))
        assert set(codes) == {(503, "no-queue")}
        # Ready, or no webhook would come that finds out that the queue is there again.
        status, said = await door.get("/readyz")
        assert status == 200
        assert "the queue takes no event" in said


async def test_what_is_only_unbound_is_kept_as_a_dead_letter(
    broker_url: str, namespace: str
) -> None:
    names = Names(namespace)
    async with (
        running_door(broker_url, namespace) as door,
        await aio_pika.connect(broker_url) as connection,
    ):
        channel = await connection.channel()
        await channel.queue_delete(names.events)
        assert await door.code(webhook_bytes()) == (202, "accepted")
        letters = await channel.get_queue(names.dead_letters)
        assert await letters.get(no_ack=True) is not None


async def test_a_broker_that_falls_silent_is_answered_for_in_time(
    broker_url: str, namespace: str, proxy: TcpProxy
) -> None:
    url = through(broker_url, proxy.port)
    loop = asyncio.get_running_loop()
    async with running_door(url, namespace, door_answer_seconds=2.0, heartbeat_seconds=60) as door:
        proxy.hold_answers()
        began = loop.time()
        codes = await asyncio.gather(*(door.code(webhook_bytes(f"ev-{n}")) for n in range(10)))
        assert set(codes) == {(503, "broker-late")}
        assert loop.time() - began < 2.0 + FEW_SECONDS
        proxy.restore()

        async def is_late_told() -> bool:
            metrics = (await door.get("/metrics"))[1]
            return 'consent_door_confirms_total{when="late"} 10.0' in metrics

        await wait_until(is_late_told, "the late confirms")
        assert await door.code(webhook_bytes("ev-10")) == (202, "accepted")
    assert len(await bodies_on_the_queue(broker_url, namespace)) == 11


async def test_a_broker_that_is_away_is_told_at_once_and_found_again(
    broker_url: str, namespace: str, proxy: TcpProxy
) -> None:
    url = through(broker_url, proxy.port)
    proxy.cut()
    async with running_door(url, namespace, waits=False) as door:
        assert await door.code(webhook_bytes()) == (503, "broker-away")
        assert not await door.is_ready()
        proxy.restore()
        await wait_until(door.is_ready, "the broker")
        assert await door.code(webhook_bytes()) == (202, "accepted")
        proxy.cut()
        await wait_until(door.is_unready, "the loss")
        assert await door.code(webhook_bytes()) == (503, "broker-away")
        proxy.restore()

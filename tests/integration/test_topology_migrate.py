"""`topology migrate` makes the topology of this version of another one, and loses no message."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import DeliveryError

from devtools.broker import RunningBroker
from devtools.old_version import V0_1_0, NoSuchVersion, unpack_version
from devtools.stack import Stack, event
from devtools.waiting import wait_until

EVENTS = 300


@pytest.fixture
async def stack(broker_url: str, namespace: str) -> AsyncIterator[Stack]:
    async with Stack(broker_url, namespace, DELIVERY_LIMIT=30) as running:
        running.add_integration("shop")
        code, _, err = await running.command("topology", "declare")
        assert code == 0, err
        yield running


async def _channel(stack: Stack) -> AbstractChannel:
    connection = await aio_pika.connect(stack.amqp_url)
    return await connection.channel(publisher_confirms=True)


def _bodies(first: int = 0, count: int = EVENTS) -> list[bytes]:
    numbers = range(first, first + count)
    return [
        json.dumps(event("org-shop", f"u{n}@a.example", event_id=f"ev-{n}")).encode()
        for n in numbers
    ]


async def _steps(stack: Stack, *options: str) -> tuple[int, list[dict[str, Any]], str]:
    code, out, err = await stack.command(
        "topology", "migrate", "--settle", "0s", "--json", *options
    )
    return code, json.loads(out), err


async def test_without_a_difference_nothing_is_done(stack: Stack) -> None:
    for options in ((), ("--dry-run",)):
        code, out, err = await stack.command("topology", "migrate", "--settle", "0s", *options)
        assert (code, out) == (0, "nothing is to be changed\n"), err


async def test_queues_with_messages_get_another_argument(stack: Stack) -> None:
    await stack.publish(_bodies(), headers={"traceparent": "00-ab"}, message_id="of-producer")
    channel = await _channel(stack)
    letter = aio_pika.Message(
        b"no json", headers={"consent-dead-reason": "poison", "consent-integration": "shop"}
    )
    await channel.default_exchange.publish(letter, f"{stack.namespace}.retries")
    stack.override("DELIVERY_LIMIT", 40)
    code, steps, err = await _steps(stack, "--dry-run")
    assert code == 0, err
    assert {(one["action"], one["name"].rpartition(".")[2]) for one in steps} == {
        ("move", "events"),
        ("move", "retries"),
        ("move", "parked"),
        ("replace", "suspects"),
    }
    assert await stack.depth("events") == EVENTS, "a dry run changes nothing"
    assert all("x-delivery-limit" in one["detail"] for one in steps)
    code, _, err = await _steps(stack)
    assert code == 0, err
    assert await stack.depth("events") == EVENTS
    assert await stack.depth("retries") == 1
    assert await stack.depth("events.migrating") == -1, "it is gone"
    assert (await _steps(stack, "--dry-run"))[1] == []
    queue = await channel.get_queue(f"{stack.namespace}.events")
    first = await queue.get()
    assert first is not None
    assert json.loads(first.body)["id"].startswith("ev-")
    assert first.headers["traceparent"] == "00-ab"
    assert first.headers["consent-producer-message-id"] == "of-producer"
    await first.reject(requeue=True)
    # What is published to the exchange finds the new queue, and a worker takes all of it.
    exchange = await channel.get_exchange(f"{stack.namespace}.events")
    await exchange.publish(aio_pika.Message(_bodies(EVENTS, 1)[0]), "any")
    await channel.close()
    stack.start_worker()
    await wait_until(lambda: len(stack.delivered("shop")) == EVENTS + 1, "all events", 60)


async def test_what_a_worker_had_is_said_to_be_returned_in_the_new_queue(stack: Stack) -> None:
    """Where the broker counts from nothing again."""
    await stack.publish(_bodies(count=2))
    channel = await _channel(stack)
    queue = await channel.get_queue(f"{stack.namespace}.events")
    first = await queue.get()
    await first.reject(requeue=True)
    await stack.wait_for_depth("events", 2)
    stack.override("DELIVERY_LIMIT", 40)
    code, _, err = await _steps(stack)
    assert code == 0, err
    moved = [await queue.get(no_ack=True) for _ in range(2)]
    said = {json.loads(one.body)["id"]: one.headers.get("consent-returned") for one in moved}
    assert said == {"ev-0": 1, "ev-1": None}
    await channel.close()


async def test_nothing_is_changed_while_a_worker_runs(stack: Stack) -> None:
    stack.start_worker()
    await stack.wait_until_consuming()
    stack.override("DELIVERY_LIMIT", 40)
    for options in (("--dry-run",), ()):
        code, steps, err = await _steps(stack, *options)
        assert code == 1
        assert {one["action"] for one in steps} == {"move", "replace"}
        assert "consumer" in err
        assert "stop all workers" in err


async def test_killed_at_any_point_it_goes_on_and_loses_nothing(stack: Stack) -> None:
    await stack.publish(_bodies())
    found = -1
    for limit in (40, 50, 60):
        stack.override("DELIVERY_LIMIT", limit)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "worker", "topology", "migrate", "--settle", "0s"),
            env=stack.env,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        await process.stderr.readline()  # it has put messages aside, or deleted a queue
        process.send_signal(signal.SIGKILL)
        await process.wait()
        code, _, err = await _steps(stack)
        assert code == 0, err
        found = await stack.depth("events")
        assert found >= EVENTS, "a copy may be there"
        assert await stack.depth("events.migrating") == -1
    stack.start_worker()
    await wait_until(lambda: len(stack.delivered("shop")) == EVENTS, "each event", 60)


async def test_the_delay_of_another_version_runs_empty_first(stack: Stack) -> None:
    """As from 0.1.0, whose queues of that name lead elsewhere."""
    channel = await _channel(stack)
    name = f"{stack.namespace}.delay.1s"
    await channel.queue_delete(name)
    await channel.declare_queue(
        name,
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-message-ttl": 2_000,
            "x-dead-letter-exchange": f"{stack.namespace}.retry",
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        },
    )
    await channel.default_exchange.publish(aio_pika.Message(b"{}", delivery_mode=2), name)
    code, out, err = await stack.command("topology", "migrate", "--settle", "0s", "--wait", "1s")
    if code:  # mostly; a machine that stood still may have let it run empty
        assert "still has messages" in err
        assert f"replace  queue    {name}  when 1 message left it" in out
    code, _, err = await stack.command("topology", "migrate", "--settle", "0s")
    assert code == 0, err
    assert await stack.depth("retries") == 1, "it came out of the delay"
    assert (await _steps(stack, "--dry-run"))[1] == []
    await channel.close()


async def test_the_topology_of_0_1_0_becomes_this_one(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    try:
        unpack_version(V0_1_0, tmp_path)
    except NoSuchVersion as problem:
        pytest.skip(f"THE TOPOLOGY OF 0.1.0 IS NOT TESTED: {problem}")
    async with Stack(broker_url, namespace) as old:
        old.add_integration("shop")
        code, _, err = await old.command("topology", "declare", directory=tmp_path)
        assert code == 0, err
        await old.publish(_bodies(count=20))
        code, _, err = await old.command("run")
        assert code == 3
        assert "`consent-worker topology migrate --dry-run` says how it is changed" in err
        code, steps, err = await _steps(old)
        assert code == 0, err
        assert "replace" in {one["action"] for one in steps}
        assert (await _steps(old, "--dry-run"))[1] == []
        old.sandbox.state.faults.inject(target="collection", kind="status", status=503, times=1)
        old.start_worker()
        await wait_until(lambda: len(old.delivered("shop")) == 20, "all, some by the new delay", 60)


async def _lead(broker: RunningBroker, stack: Stack, order: str, queue: str) -> None:
    """`suspend` or `resume` the leader of a queue; without it the broker calls the queue empty."""
    name = f"'%2F_{stack.namespace}.{queue}'"
    await asyncio.to_thread(broker.ctl, "eval", f"sys:{order}({name}).")


async def _until_migrated(stack: Stack, *options: str) -> None:
    """A moment after a leader is back, the consumer of a command before is still counted."""

    async def is_migrated() -> bool:
        return (await stack.command("topology", "migrate", "--settle", "0s", *options))[0] == 0

    await wait_until(is_migrated, "the migration", 120)


@pytest.mark.timeout(600)
async def test_no_queue_is_deleted_whose_leader_does_not_answer(
    own_broker: RunningBroker, namespace: str
) -> None:
    async with Stack(
        own_broker.url, namespace, EVENT_QUEUES="events,events.3", DELIVERY_LIMIT=30
    ) as stack:
        code, _, err = await stack.command("topology", "declare")
        assert code == 0, err
        channel = await _channel(stack)
        delay = f"{namespace}.delay.1s"
        await channel.queue_delete(delay)
        arguments: dict[str, Any] = {"x-queue-type": "quorum", "x-message-ttl": 3_600_000}
        await channel.declare_queue(delay, durable=True, arguments=arguments)
        await channel.default_exchange.publish(aio_pika.Message(b"{}", delivery_mode=2), delay)
        await stack.publish(_bodies(count=20))
        await stack.publish(_bodies(20, 20), "events.3")
        stack.override("EVENT_QUEUES", "events")

        async def is_refused(queue: str, held: int, *options: str) -> None:
            await _lead(own_broker, stack, "suspend", queue)
            assert await stack.depth(queue) == 0, "so the broker says"
            code, _, err = await stack.command("topology", "migrate", "--settle", "0s", *options)
            assert (code, f"the leader of queue {namespace}.{queue}" in err) == (1, True), err
            await _lead(own_broker, stack, "resume", queue)
            await stack.wait_for_depth(queue, held, 60)

        await is_refused("delay.1s", 1, "--wait", "1s")
        await channel.queue_delete(delay)
        await stack.command("topology", "declare")
        await is_refused("events.3", 20, "--drop", "events.3")
        await _until_migrated(stack, "--drop", "events.3")
        assert await stack.depth("events") == 40
        stack.override("DELIVERY_LIMIT", 40)
        await is_refused("events", 40)
        await _until_migrated(stack)
        assert await stack.depth("events") == 40
        await channel.close()


@asynccontextmanager
async def _producer(stack: Stack, exchange: str, key: str) -> AsyncIterator[list[int]]:
    """Publishes without a pause to an exchange; what it gives grows by each confirmed event."""
    confirmed: list[int] = []
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        there = await channel.get_exchange(exchange)

        async def publish() -> None:
            for number in count():
                message = aio_pika.Message(_bodies(number, 1)[0], delivery_mode=2)
                with suppress(DeliveryError):  # no queue is bound, which the producer is told
                    await there.publish(message, key)
                    confirmed.append(number)

        publishing = asyncio.create_task(publish())
        await wait_until(lambda: len(confirmed) > 20, "the first events")
        yield confirmed
        publishing.cancel()
        with suppress(asyncio.CancelledError):
            await publishing


@pytest.mark.timeout(300)
async def test_a_dropped_queue_stays_to_which_a_producers_own_exchange_leads(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace, EVENT_QUEUES="events,events.3") as stack:
        code, _, err = await stack.command("topology", "declare")
        assert code == 0, err
        channel = await _channel(stack)
        exchange = await channel.declare_exchange(f"{namespace}.own", "fanout", auto_delete=True)
        queue = await channel.get_queue(f"{namespace}.events.3")
        await queue.bind(exchange)
        stack.override("EVENT_QUEUES", "events")
        drop = ("topology", "migrate", "--settle", "0s", "--drop", "events.3")
        async with _producer(stack, exchange.name, "") as confirmed:
            code, _, err = await stack.command(*drop)
            assert code == 1
            assert f"queue {queue.name} does not stay empty" in err
        await queue.unbind(exchange)
        await _until_migrated(stack, *drop[4:])
        assert await stack.depth("events") >= len(confirmed)
        assert await stack.depth("events.3") == -1, "it is gone"
        await channel.close()


@pytest.mark.timeout(300)
async def test_a_producer_of_a_longer_list_before_may_go_on(
    broker_url: str, namespace: str
) -> None:
    """The exchange that leads to each queue by its name outlives the list."""
    async with Stack(broker_url, namespace, EVENT_QUEUES="events,events.3") as stack:
        code, _, err = await stack.command("topology", "declare")
        assert code == 0, err
        stack.override("EVENT_QUEUES", "events")
        stack.override("DELIVERY_LIMIT", 40)
        key = f"{namespace}.events"
        async with _producer(stack, f"{namespace}.event-queues", key) as confirmed:
            code, _, err = await stack.command("topology", "migrate", "--settle", "0s")
            assert code == 0, err
            after = len(confirmed)
            await wait_until(lambda: len(confirmed) > after + 20, "events for the new queue")
        assert await stack.depth("events") >= len(confirmed)
        assert await stack.depth("dead-letters") == 0
        assert (await _steps(stack, "--dry-run"))[1] == []


async def test_what_was_put_aside_of_a_queue_that_left_the_list_is_told_and_moved(
    stack: Stack,
) -> None:
    channel = await _channel(stack)
    aside = await channel.declare_queue(
        f"{stack.namespace}.events.3.migrating",
        durable=True,
        arguments={"x-queue-type": "quorum", "x-delivery-limit": 1_000_000_000},
    )
    await stack.publish(_bodies(count=5), "events.3.migrating")
    code, out, err = await stack.command("topology", "migrate", "--settle", "0s", "--dry-run")
    assert (code, out) == (0, "nothing is to be changed\n")
    assert f"queue {aside.name} has 5 messages" in err
    assert "--drop events.3 moves them and deletes it" in err
    code, _, err = await stack.command(
        "topology", "migrate", "--settle", "0s", "--drop", "events.3"
    )
    assert code == 0, err
    assert await stack.depth("events") == 5
    assert await stack.depth("events.3.migrating") == -1, "it is gone"
    await channel.close()

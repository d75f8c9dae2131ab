"""`topology migrate` makes the topology of this version of another one, and loses no message."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

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
    code, out, err = await stack.command("topology", "migrate", "--json", *options)
    return code, json.loads(out), err


async def test_without_a_difference_nothing_is_done(stack: Stack) -> None:
    for options in ((), ("--dry-run",)):
        code, out, err = await stack.command("topology", "migrate", *options)
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
        ("replace", "parked"),
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


async def test_nothing_is_changed_while_a_worker_runs(stack: Stack) -> None:
    stack.start_worker()
    await stack.wait_until_consuming()
    stack.override("DELIVERY_LIMIT", 40)
    for options in (("--dry-run",), ()):
        code, steps, err = await _steps(stack, *options)
        assert code == 1
        assert {one["action"] for one in steps} == {"replace"}
        assert "consumer" in err
        assert "stop all workers" in err


async def test_killed_at_any_point_it_goes_on_and_loses_nothing(stack: Stack) -> None:
    await stack.publish(_bodies())
    found = -1
    for limit in (40, 50, 60):
        stack.override("DELIVERY_LIMIT", limit)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "worker", "topology", "migrate"),
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
    code, out, err = await stack.command("topology", "migrate", "--wait", "1s")
    if code:  # mostly; a machine that stood still may have let it run empty
        assert "still has messages" in err
        assert f"replace  queue    {name}  when 1 message left it" in out
    code, _, err = await stack.command("topology", "migrate")
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

"""`topology migrate` and messages that no number of the broker tells of: those that are between two
queues.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace

import aio_pika
import pytest
from aio_pika.abc import AbstractConnection

from devtools.broker import RunningBroker
from devtools.stack import Stack
from worker.broker.delay import entry
from worker.broker.topology import build_topology, declare

KEPT_LONG = {"x-max-length": 1_000_000}


async def _declare_other_delay(connection: AbstractConnection, namespace: str, *names: str) -> None:
    """The topology as another version has it, with another argument of these queues, or of all of
    the delay.
    """
    topology = build_topology(namespace, "native", 20)
    others = {f"{entry(namespace)}.{one}" for one in names}
    queues = [
        replace(one, arguments=one.arguments | KEPT_LONG)
        if one.name in others or (not names and "x-message-ttl" in one.arguments)
        else one
        for one in topology.queues
    ]
    await declare(connection, replace(topology, queues=tuple(queues)))


async def _delay(connection: AbstractConnection, namespace: str, key: str) -> None:
    channel = await connection.channel(publisher_confirms=True)
    exchange = await channel.get_exchange(entry(namespace))
    await exchange.publish(aio_pika.Message(b"{}", delivery_mode=2), key)
    await channel.close()


@pytest.mark.parametrize("others", [(), ("500ms", "125ms")])
async def test_a_message_passes_all_its_levels_before_one_of_them_is_made_anew(
    broker_url: str, namespace: str, others: tuple[str, ...]
) -> None:
    async with (
        Stack(broker_url, namespace, RECEIPTS="off") as stack,
        await aio_pika.connect(broker_url) as connection,
    ):
        await _declare_other_delay(connection, namespace, *others)
        await _delay(connection, namespace, "2s.1s.500ms.250ms.125ms")
        code, _, err = await stack.command("topology", "migrate", "--settle", "0s")
        assert code == 0, err
        assert "waiting until the delay is empty" in err
        assert await stack.depth("dead-letters") == 0, "its way is there to the end"
        assert await stack.depth("retries") == 1
        code, out, err = await stack.command("topology", "migrate", "--dry-run")
        assert (code, out) == (0, "nothing is to be changed\n"), err


async def test_what_the_broker_repeats_late_is_waited_for(broker_url: str, namespace: str) -> None:
    """What comes in sight meanwhile takes its way to the end, too."""
    async with (
        Stack(broker_url, namespace, RECEIPTS="off") as stack,
        await aio_pika.connect(broker_url) as connection,
    ):
        await _declare_other_delay(connection, namespace)
        migrating = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "worker", "topology", "migrate", "--settle", "6s"),
            env=stack.env,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert migrating.stderr is not None
        assert b"not on record" in await migrating.stderr.readline()
        told = (await migrating.stderr.readline()).decode()
        assert told.startswith("waiting 6 s"), "the delay is empty, as far as one can see"
        assert "`rabbitmqctl list_queues name messages_ready messages`" in told
        await _delay(connection, namespace, "4s.2s.500ms")
        assert await asyncio.wait_for(migrating.wait(), 60) == 0
        assert (await stack.depth("dead-letters"), await stack.depth("retries")) == (0, 1)


@pytest.mark.timeout(300)
async def test_no_queue_is_deleted_that_hands_on_to_one_whose_leader_does_not_answer(
    own_broker: RunningBroker, namespace: str
) -> None:
    async with (
        Stack(own_broker.url, namespace, RECEIPTS="off", DELIVERY_LIMIT=30) as stack,
        await aio_pika.connect(own_broker.url) as connection,
    ):
        await _declare_other_delay(connection, namespace, "250ms")
        leader = f"'%2F_{namespace}.retries'"
        await asyncio.to_thread(own_broker.ctl, "eval", f"sys:suspend({leader}).")
        await _delay(connection, namespace, "250ms")
        await stack.wait_for_depth("delay.250ms", 0)
        stack.override("DELIVERY_LIMIT", 20)
        code, _, err = await stack.command("topology", "migrate", "--settle", "0s")
        assert (code, f"the leader of queue {namespace}.retries" in err) == (1, True), err
        await asyncio.to_thread(own_broker.ctl, "eval", f"sys:resume({leader}).")
        await stack.wait_for_depth("retries", 1, 60)
        code, _, err = await stack.command("topology", "migrate", "--settle", "0s")
        assert code == 0, err
        assert await stack.depth("retries") == 1

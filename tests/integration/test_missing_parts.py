"""What somebody has deleted or unbound at the broker is there again soon, and events go on."""

from __future__ import annotations

import json
from functools import partial

import aio_pika
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity

from devtools.stack import Stack, event
from devtools.waiting import wait_until
from worker.broker.topology import Binding, build_topology


async def test_a_deleted_exchange_of_the_delay_is_declared_again_and_retries_go_on(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace) as stack:
        stack.add_integration("shop")
        stack.start_worker()
        await stack.wait_until_consuming()
        async with await aio_pika.connect(broker_url) as connection:
            topology = build_topology(namespace, "native", 20)
            levels = [one.name for one in topology.exchanges if ".delay." in one.name]
            channel = await connection.channel()
            for name in levels:
                await channel.exchange_delete(name)
            stack.sandbox.state.inject(target="collection", kind="status", status=503, times=1)
            for name in levels:
                await wait_until(partial(_is_there, connection, name), name, 60)
            await stack.publish([json.dumps(event("org-shop", "lena@northwind.example")).encode()])
            await wait_until(lambda: bool(stack.sandbox.state.profiles), "the retried event", 60)


async def test_what_was_unbound_is_bound_again(broker_url: str, namespace: str) -> None:
    async with Stack(broker_url, namespace) as stack:
        stack.add_integration("shop")
        stack.start_worker()
        await stack.wait_until_consuming()
        async with await aio_pika.connect(broker_url) as connection:
            name = f"{namespace}.dead-letters"
            binding = Binding(name, name, "")
            assert await _is_bound(connection, binding)
            channel = await connection.channel()
            queue = await channel.get_queue(binding.destination, ensure=False)
            await queue.unbind(binding.source, binding.routing_key)
            await wait_until(partial(_is_bound, connection, binding), "the binding", 90)


async def _is_there(connection: AbstractConnection, exchange: str) -> bool:
    channel = await connection.channel()
    try:
        await channel.declare_exchange(exchange, passive=True)
    except ChannelNotFoundEntity:
        return False
    await channel.close()
    return True


async def _is_bound(connection: AbstractConnection, binding: Binding) -> bool:
    async with connection.channel(on_return_raises=True) as channel:
        exchange = await channel.get_exchange(binding.source, ensure=False)
        try:
            await exchange.publish(aio_pika.Message(b"{}"), binding.routing_key, mandatory=True)
        except aio_pika.exceptions.DeliveryError:
            return False
    return True

"""(i) The floor: aio-pika reads each message and acknowledges it, and does nothing else."""

from __future__ import annotations

import asyncio

import aio_pika
import uvloop

from bench.peers.job import AMQP_URL, PREFETCH, QUEUE


async def main() -> None:
    connection = await aio_pika.connect_robust(AMQP_URL)
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=PREFETCH)
    queue = await channel.get_queue(QUEUE)

    async def take(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        await message.ack()

    await queue.consume(take)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())

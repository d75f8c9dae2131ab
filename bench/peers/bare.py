"""(ii) aio-pika and aiohttp by hand: each event is posted alone, then acknowledged."""

from __future__ import annotations

import asyncio

import aio_pika
import aiohttp
import uvloop

from bench.peers.job import AMQP_URL, HEADERS, PREFETCH, QUEUE, TARGET


async def main() -> None:
    connection = await aio_pika.connect_robust(AMQP_URL)
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=PREFETCH)
    queue = await channel.get_queue(QUEUE)
    async with aiohttp.ClientSession(headers=HEADERS) as http:

        async def take(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            async with http.post(TARGET, data=message.body) as answer:
                await answer.read()
                answer.raise_for_status()
            await message.ack()

        await queue.consume(take)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())

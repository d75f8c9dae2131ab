"""The floor one level lower: aiormq itself, one acknowledgement for fifty messages.

Not a peer, but the measurement behind the way in which our own intake reads.
"""

from __future__ import annotations

import asyncio

import aiormq
import uvloop

from bench.peers.job import AMQP_URL, PREFETCH, QUEUE

RANGE = 50


async def main() -> None:
    connection = await aiormq.connect(AMQP_URL)
    channel = await connection.channel()
    await channel.basic_qos(prefetch_count=PREFETCH)

    async def take(message: aiormq.abc.DeliveredMessage) -> None:
        tag = message.delivery_tag
        if tag is not None and tag % RANGE == 0:
            await channel.basic_ack(tag, multiple=True, wait=False)

    await channel.basic_consume(QUEUE, take)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())

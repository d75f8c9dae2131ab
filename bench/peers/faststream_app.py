"""(iii) FastStream. Its message object is asked for, so that no model is built from the body."""

from __future__ import annotations

import aiohttp
import uvloop
from faststream import FastStream
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitMessage, RabbitQueue

from bench.peers.job import AMQP_URL, HEADERS, PREFETCH, QUEUE, TARGET

broker = RabbitBroker(
    AMQP_URL, default_channel=Channel(prefetch_count=PREFETCH), apply_types=False, logger=None
)
app = FastStream(broker)
state: dict[str, aiohttp.ClientSession] = {}


@app.on_startup
async def open_session() -> None:
    state["http"] = aiohttp.ClientSession(headers=HEADERS)


@app.on_shutdown
async def close_session() -> None:
    await state["http"].close()


async def raw(message: RabbitMessage) -> bytes:
    """The decoder: the body as it came."""
    return message.body


@broker.subscriber(
    RabbitQueue(QUEUE, queue_type=QueueType.QUORUM, durable=True, declare=False), decoder=raw
)
async def deliver(body: bytes) -> None:
    async with state["http"].post(TARGET, data=body) as answer:
        await answer.read()
        answer.raise_for_status()


if __name__ == "__main__":
    uvloop.run(app.run())

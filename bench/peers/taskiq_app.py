"""(iv) taskiq with aio-pika: one worker process, acknowledged when the task was executed."""

from __future__ import annotations

import asyncio

import aiohttp
from taskiq import TaskiqEvents, TaskiqState
from taskiq_aio_pika import AioPikaBroker, Exchange, Queue, QueueType

from bench.peers.job import (
    AMQP_URL,
    HEADERS,
    PREFETCH,
    QUEUE,
    TARGET,
    event_to_publish,
    wants_to_publish,
)

broker = AioPikaBroker(
    AMQP_URL,
    qos=PREFETCH,
    exchange=Exchange(name=f"{QUEUE}.exchange"),
    task_queues=[Queue(name=QUEUE, type=QueueType.QUORUM, routing_key=QUEUE)],
    dead_letter_queue=Queue(name=f"{QUEUE}.dead", type=QueueType.QUORUM),
)


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def open_session(state: TaskiqState) -> None:
    state.http = aiohttp.ClientSession(headers=HEADERS)


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def close_session(state: TaskiqState) -> None:
    await state.http.close()


@broker.task(task_name="deliver")
async def deliver(event: str) -> None:
    async with broker.state.http.post(TARGET, data=event.encode()) as answer:
        await answer.read()
        answer.raise_for_status()


async def publish() -> None:
    await broker.startup()
    await deliver.kiq(event_to_publish())
    await broker.shutdown()


if __name__ == "__main__" and wants_to_publish():
    asyncio.run(publish())

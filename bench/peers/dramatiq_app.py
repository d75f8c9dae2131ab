"""(v) Dramatiq: one process, threads that share a pool of kept-alive connections."""

from __future__ import annotations

from typing import Any

import dramatiq
import urllib3
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from bench.peers.job import (
    AMQP_URL,
    HEADERS,
    QUEUE,
    TARGET,
    THREADS,
    event_to_publish,
    wants_to_publish,
)


class QuorumBroker(RabbitmqBroker):
    """Dramatiq declares classic queues; this one asks for quorum queues."""

    def _build_queue_arguments(self, queue_name: str) -> dict[str, Any]:
        return super()._build_queue_arguments(queue_name) | {"x-queue-type": "quorum"}


broker = QuorumBroker(url=AMQP_URL, confirm_delivery=True)
dramatiq.set_broker(broker)
http = urllib3.PoolManager(maxsize=THREADS, headers=HEADERS, retries=False)


@dramatiq.actor(actor_name="deliver", queue_name=QUEUE)
def deliver(event: str) -> None:
    answer = http.request("POST", TARGET, body=event.encode())
    if answer.status != 200:
        raise RuntimeError(answer.status)


if __name__ == "__main__" and wants_to_publish():
    deliver.send(event_to_publish())

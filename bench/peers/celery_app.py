"""(vi) Celery: threads that share a pool of kept-alive connections, results ignored, late ack."""

from __future__ import annotations

import urllib3
from celery import Celery
from kombu import Queue

from bench.peers.job import (
    AMQP_URL,
    HEADERS,
    QUEUE,
    TARGET,
    THREADS,
    event_to_publish,
    wants_to_publish,
)

app = Celery("bench", broker=AMQP_URL)
app.conf.update(
    task_queues=[Queue(QUEUE, routing_key=QUEUE, queue_arguments={"x-queue-type": "quorum"})],
    task_default_queue=QUEUE,
    task_default_routing_key=QUEUE,
    task_default_queue_type="quorum",
    task_default_exchange_type="direct",
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=36,
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
)
http = urllib3.PoolManager(maxsize=THREADS, headers=HEADERS, retries=False)


@app.task(name="deliver")
def deliver(event: str) -> None:
    answer = http.request("POST", TARGET, body=event.encode())
    if answer.status != 200:
        raise RuntimeError(answer.status)


if __name__ == "__main__" and wants_to_publish():
    deliver.delay(event_to_publish())

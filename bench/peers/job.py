"""What every peer is told: where the broker, the queue and the HTTP stub are."""

from __future__ import annotations

import os
import sys

AMQP_URL = os.environ["BENCH_AMQP_URL"]
QUEUE = os.environ["BENCH_QUEUE"]
TARGET = os.environ["BENCH_TARGET_URL"]
PREFETCH = 300
"""RabbitMQ's documentation advises 100 to 300; more brought none of the peers anything."""
THREADS = 8
HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer bench"}


def wants_to_publish() -> bool:
    """Whether one event, from standard input, is to be published instead of working."""
    return sys.argv[1:] == ["publish"]


def event_to_publish() -> str:
    """That event."""
    return sys.stdin.read()

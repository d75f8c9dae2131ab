"""Fixtures on real parts: a RabbitMQ and a Redis per session, a namespace per test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from devtools.broker import RunningBroker, running_broker
from devtools.redis_server import running_redis


@pytest.fixture(scope="session")
def broker() -> Iterator[RunningBroker]:
    """A real RabbitMQ: a container where Docker answers, the native server elsewhere."""
    with running_broker() as started:
        yield started


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a real Redis; a test keeps to keys of its own `namespace` in it."""
    with running_redis() as started:
        yield started.url


@pytest.fixture
def namespace() -> str:
    """Prefix of exchanges, queues and keys that no other test uses."""
    return f"t{uuid.uuid4().hex[:8]}"

"""A URL that leads to another service, or to a part that is not there: what is said of it."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from worker.ordering.redis_store import RedisStore
from worker.ordering.store_protocol import Claim, StoreUnavailable, Timing
from worker.wire.connecting import BrokerAddress, connect, why_unreachable

TIMING = Timing(60.0, 86_400.0)


async def _problem(url: str, namespace: str) -> str:
    store = RedisStore(url, TIMING, namespace=namespace, timeout_seconds=5)
    try:
        with pytest.raises(StoreUnavailable) as caught:
            await store.begin("shop", [Claim("user-1", ["news"])])
    finally:
        await store.close()
    return str(caught.value)


async def test_a_database_that_redis_does_not_have(redis_url: str, namespace: str) -> None:
    there = urlsplit(redis_url)
    said = await _problem(f"redis://{there.netloc}/99", namespace)
    assert "has no database of this number" in said


async def test_a_state_at_the_port_of_rabbitmq(broker_url: str, namespace: str) -> None:
    there = urlsplit(broker_url)
    said = await _problem(f"redis://{there.hostname}:{there.port}/0", namespace)
    assert "answers as no Redis does" in said


async def test_a_broker_at_the_port_of_redis(redis_url: str) -> None:
    there = urlsplit(redis_url)
    url = SecretStr(f"amqp://user:secret@{there.hostname}:{there.port}/")
    with pytest.raises(TimeoutError) as caught:
        await connect(BrokerAddress(url, 60), "test")
    assert "may not speak AMQP" in why_unreachable(caught.value)

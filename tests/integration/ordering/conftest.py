"""A look into Redis, beside the stores."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import redis.asyncio


@pytest.fixture
async def inspector(redis_url: str, namespace: str) -> AsyncIterator[redis.asyncio.Redis]:
    """A client of the same Redis; the keys of the test's `namespace` are gone after it."""
    client = redis.asyncio.Redis.from_url(redis_url)
    yield client
    if keys := await client.keys(f"{namespace}:*"):
        await client.delete(*keys)
    await client.aclose()

"""Commands of Redis for which its client has no method."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis


async def run(client: Redis, *words: str | int) -> Any:
    """Run the command that these words make; its answer."""
    # The method has no annotations in redis-py.
    return await client.execute_command(*words)  # type: ignore[no-untyped-call]

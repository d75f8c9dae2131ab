"""What somebody still holds: messages in queues or unacknowledged, and leases on users."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from redis.asyncio import Redis

from devtools.chaos.cluster import Cluster
from devtools.native_rabbitmq import BrokerUnavailable

_LOOK_SECONDS: Final = 2.0
_LOOKS: Final = 3
"""What is handed on from queue to queue may be in none for a moment."""


async def held(cluster: Cluster, redis_urls: Sequence[str], namespace: str) -> list[str]:
    """What is held now. Dead letters may lie in their queue, but in nobody's hands; the stream of
    the receipts keeps all that it has.
    """
    found = []
    for queue in await asyncio.to_thread(cluster.queues):
        name, ready = queue["name"], queue["messages_ready"]
        if name == f"{namespace}.receipts":
            continue
        unacknowledged = queue["messages_unacknowledged"]
        is_letters = name == f"{namespace}.dead-letters"
        if not name.startswith(f"{namespace}."):
            found.append(f"the queue {name} should not be there")
        if unacknowledged or (ready and not is_letters):
            found.append(f"{name} has {ready} ready and {unacknowledged} unacknowledged")
    for url in redis_urls:
        async with Redis.from_url(url) as redis:
            async for key in redis.scan_iter(f"{namespace}:*:busy"):
                if await redis.get(key):  # empty is a gap after a message, and no lease
                    found.append(f"a lease is left in Redis: {key.decode()}")
    return found


async def nothing_held(
    cluster: Cluster,
    redis_urls: Sequence[str],
    namespace: str,
    within_seconds: float,
    tell: Callable[[str], None],
) -> list[str]:
    """What is held after so long; returns as soon as it is nothing for several looks."""
    deadline = time.monotonic() + within_seconds
    quiet = 0
    before: list[str] = []
    while True:
        try:
            found = await held(cluster, redis_urls, namespace)
        except BrokerUnavailable as error:
            found = [f"the broker did not say what is held: {error}"]
        quiet = 0 if found else quiet + 1
        if quiet == _LOOKS:
            return []
        if found != before:
            tell(f"held: {'; '.join(found) or 'nothing'}")
            before = found
        if time.monotonic() > deadline and found:
            return found
        await asyncio.sleep(_LOOK_SECONDS)

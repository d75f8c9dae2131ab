"""The nodes of a Redis Cluster, and what they tell of its slots."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, Final

from redis.exceptions import RedisError

from worker.ordering.lasting_store import WrongKindOfRedis
from worker.ordering.redis_server import Execute, RedisServer
from worker.ordering.redis_slots import SlotMap, slot_map
from worker.ordering.store_protocol import StoreUnavailable
from worker.settings.redis_urls import RedisUrls

_IS_NO_CLUSTER: Final = (
    "Redis is no cluster: write redis:// (or rediss://) and its address into "
    "CONSENT_WORKER_STATE_URL"
)


class RedisNodes:
    """The nodes of a Redis Cluster at `urls`, and whatever others they tell of; at most
    `max_connections` to each.

    Raises ValueError, without the URL in its text, for URLs that can't be used.
    """

    def __init__(self, urls: RedisUrls, timeout_seconds: float, max_connections: int) -> None:
        self._urls = urls
        self._timeout_seconds = timeout_seconds
        self._max_connections = max_connections
        self._servers: dict[str, RedisServer] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self.failing: set[str] = set()
        """Those of which the last call has failed."""
        for address in urls.addresses:
            self.at(address)

    def at(self, address: str) -> RedisServer:
        """The node of Redis with that `HOST:PORT`."""
        server = self._servers.get(address)
        if server is None:
            server = self._servers[address] = RedisServer(
                self._urls.at(address),
                self._timeout_seconds,
                self._max_connections,
                f"Redis at {address}",
            )
        return server

    async def slots(self) -> SlotMap:
        """Which master of Redis has which slot, by the first node that tells it; those that failed
        are asked at last. Raises `StoreUnavailable` where none does.
        """
        problem = StoreUnavailable("no node of the Redis Cluster is known")
        known = dict.fromkeys((*self._servers, *self._urls.addresses))
        for address in sorted(known, key=lambda one: one in self.failing):
            try:
                found = _read(await self.at(address).call(_ask_slots), address)
            except StoreUnavailable as trouble:
                self.failing.add(address)
                problem = trouble
            else:
                self.failing.discard(address)
                self._keep_only({*found.masters, *self._urls.addresses})
                return found
        raise problem

    async def close(self) -> None:
        """Close all connections to the nodes of Redis."""
        for server in self._servers.values():
            await server.close()

    def _keep_only(self, needed: Collection[str]) -> None:
        self.failing.intersection_update(needed)
        for gone in self._servers.keys() - needed:
            closing = asyncio.create_task(self._servers.pop(gone).close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


async def _ask_slots(execute: Execute) -> Any:
    """What CLUSTER SLOTS answers, None of a server that is in no cluster."""
    try:
        return await execute("CLUSTER", "SLOTS")
    except RedisError as refusal:
        if "cluster support disabled" in str(refusal):
            return None
        raise


def _read(answer: Any, address: str) -> SlotMap:
    """Raises `StoreUnavailable` for what is no map of the slots."""
    if answer is None:
        raise WrongKindOfRedis(_IS_NO_CLUSTER)
    try:
        found = slot_map(answer, host_of(address))
    except ValueError:
        raise StoreUnavailable(f"Redis at {address} does not tell its slots") from None
    if not found.is_known:
        raise StoreUnavailable(f"Redis at {address} is in no cluster yet, or forgotten by it")
    return found


def host_of(address: str) -> str:
    """The host of a Redis node, of its `HOST:PORT`."""
    return address.rpartition(":")[0]

"""Where the keys of a Redis are: all on one server, or spread over those of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from worker.ordering.lasting_store import WrongKindOfRedis
from worker.ordering.redis_server import REDIRECTIONS, Execute, RedisServer, Work
from worker.ordering.redis_slots import SLOTS, tag_of

_IS_OF_CLUSTER: Final = (
    "Redis is a node of a Redis Cluster, of which it has a part of the keys alone: write "
    "redis+cluster:// (or rediss+cluster://) and some of the nodes into CONSENT_WORKER_STATE_URL"
)


_PROBES: Final = 8
_PROBED: Final = tuple(number * (SLOTS - 1) // (_PROBES - 1) for number in range(_PROBES))
"""Slots that are spread evenly, both ends among them: a node that has taken over the slots of
another one has both ends, too, and lacks some between."""


class Servers(Protocol):
    """Redis as one server, or as a cluster of several; every key is on one of them. What raises
    raises `StoreUnavailable`.
    """

    @property
    def parts(self) -> Sequence[str]:
        """See `NewestStore`."""
        ...

    def part_of(self, tag: str) -> str:
        """Which part has the keys with this hash tag, `{TAG}`."""
        ...

    def key_in(self, part: str, namespace: str, name: str) -> str | None:
        """A key of that name in `part` of Redis; None where that is no part any more."""
        ...

    @property
    def shared_part(self) -> str:
        """See `NewestStore`."""
        ...

    def shared_key(self, namespace: str, name: str) -> str:
        """The key of what all integrations share. In a cluster all of these are in one slot."""
        ...

    async def check(self, namespace: str) -> None:
        """Find out whether Redis is what the URL says. Raises `WrongKindOfRedis` if not."""
        ...

    async def look_again(self) -> None:
        """Learn anew which parts Redis has."""
        ...

    async def run(self, key: str, work: Work) -> Any:
        """What comes of `work`, by the server of Redis that has `key`."""
        ...

    async def run_everywhere(self, work: Work) -> list[Any]:
        """What comes of `work` by each server of Redis, one after the other."""
        ...

    async def close(self) -> None:
        """Close all connections to Redis; trouble while closing is no trouble any more."""
        ...


class OneServer:
    """One server of Redis, which has all keys. See `Servers`."""

    parts: Sequence[str] = ("",)
    shared_part = ""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._is_of_cluster = False

    def part_of(self, tag: str) -> str:
        """See `Servers`."""
        return ""

    def key_in(self, part: str, namespace: str, name: str) -> str | None:
        """See `Servers`."""
        return f"{namespace}:{name}"

    def shared_key(self, namespace: str, name: str) -> str:
        """See `Servers`."""
        return f"{namespace}:{name}"

    async def check(self, namespace: str) -> None:
        """See `Servers`. A node of a cluster has not all of these slots, unless it is alone."""
        keys = [f"{namespace}:{{{tag_of(slot)}}}:probe" for slot in _PROBED]

        async def look(execute: Execute) -> None:
            for key in keys:
                await execute("GET", key)

        await self.run("", look)

    async def look_again(self) -> None:
        """See `Servers`."""

    async def run(self, key: str, work: Work) -> Any:
        """See `Servers`. Once a node has shown that it is one of a cluster nothing is asked any
        more: what it has not would count as unknown.
        """
        if not self._is_of_cluster:
            try:
                return await self._server.call(work)
            except REDIRECTIONS:
                self._is_of_cluster = True
        raise WrongKindOfRedis(_IS_OF_CLUSTER)

    async def run_everywhere(self, work: Work) -> list[Any]:
        """See `Servers`."""
        return [await self.run("", work)]

    async def close(self) -> None:
        """See `Servers`."""
        await self._server.close()

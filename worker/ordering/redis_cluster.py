"""A Redis Cluster: each call goes to the master that has its slot, and to nobody else.

What redis-py has for it, `RedisCluster`, begins anew with all nodes when one is away or says
CLUSTERDOWN: calls of the others wait meanwhile, or lose their connection. Here a master that is
away concerns its own slots alone (docs/decisions/0023).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from redis.exceptions import AskError, MovedError, TryAgainError

from worker.ordering.redis_nodes import RedisNodes, host_of
from worker.ordering.redis_server import Work
from worker.ordering.redis_slots import (
    UNSERVED,
    SlotMap,
    address_of,
    slot_of,
    tag_of,
)
from worker.ordering.store_protocol import StoreUnavailable
from worker.settings.redis_urls import RedisUrls

_MOST_REDIRECTIONS: Final = 8
_TRY_AGAIN_SECONDS: Final = 0.05
"""Not all keys of a call are at one master: their slot is under way to another one. Redis serves no
call of several keys then, of which one may be missing; that lasts until all of the slot is there.
"""
_LOOK_AGAIN_SECONDS: Final = 0.2
"""The map of the slots is not asked for more often, unless somebody waits for it."""
SHARED_TAG: Final = "~"
"""No state id: so what all integrations share is in one slot."""


class ClusterServers:
    """The masters of the cluster that has the nodes of `urls`; at most `max_connections` to each.
    See `Servers`; a part is what one master has, by its address, or a slot that is under way to
    another one.

    Raises ValueError, without the URL in its text, for URLs that can't be used.
    """

    def __init__(self, urls: RedisUrls, timeout_seconds: float, max_connections: int) -> None:
        self._nodes = RedisNodes(urls, timeout_seconds, max_connections)
        self._slots = SlotMap()
        self._moving: dict[int, str] = {}
        self._looking: asyncio.Task[StoreUnavailable | None] | None = None
        self._looked_at = -_LOOK_AGAIN_SECONDS

    @property
    def parts(self) -> Sequence[str]:
        """See `Servers`."""
        return (*self._slots.masters, *self._moving.values())

    def part_of(self, tag: str) -> str:
        """See `Servers`."""
        slot = slot_of(tag)
        return self._moving.get(slot) or self._slots.owner(slot)

    def key_in(self, part: str, namespace: str, name: str) -> str | None:
        """See `Servers`."""
        slot = self._slots.first_of(part, self._moving)
        if slot is None:
            slot = next((one for one, moving in self._moving.items() if moving == part), None)
        return None if slot is None else f"{namespace}:{{{tag_of(slot)}}}:{name}"

    @property
    def tags(self) -> list[str]:
        """A hash tag for each master of the Redis Cluster."""
        masters = self._slots.masters
        known = (one for one in masters if one != UNSERVED)
        firsts = (self._slots.first_of(one, self._moving) for one in known)
        return [tag_of(one) for one in firsts if one is not None]

    def is_failing(self, tag: str) -> bool:
        """Whether the last call of the master with this hash tag has failed, or of the slot where
        that is under way.
        """
        return slot_of(tag) in self._moving or self.part_of(tag) in self._nodes.failing

    @property
    def shared_part(self) -> str:
        """See `Servers`."""
        return self.part_of(SHARED_TAG)

    def shared_key(self, namespace: str, name: str) -> str:
        """See `Servers`."""
        return f"{namespace}:{{{SHARED_TAG}}}:{name}"

    async def check(self, namespace: str) -> None:
        """See `Servers`."""
        if not self._slots.is_known:
            await self.look_again()

    async def look_again(self) -> None:
        """See `Servers`. Who comes while that is being done waits for the same."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        problem = await asyncio.shield(self._looking)
        if problem is not None:
            raise type(problem)(str(problem))

    async def run(self, key: str, work: Work) -> Any:
        """See `Servers`."""
        slot, asked = slot_of(key), UNSERVED
        for _ in range(_MOST_REDIRECTIONS):
            if not self._slots.is_known:
                await self.look_again()
            address = asked or self._slots.owner(slot)
            if address == UNSERVED:
                self._look_soon()
                raise StoreUnavailable(
                    f"no master of the Redis Cluster has slot {slot}: `redis-cli --cluster check`"
                )
            server = self._nodes.at(address)
            try:
                answer = await (server.call_asking(work) if asked else server.call(work))
            except MovedError as moved:
                asked = UNSERVED
                self._slots.move(slot, address_of(moved.host, moved.port, host_of(address)))
                self._look_soon()
            except AskError as ask:
                asked = address_of(ask.host, ask.port, host_of(address))
            except TryAgainError:
                await asyncio.sleep(_TRY_AGAIN_SECONDS)
            except StoreUnavailable:
                if asked:  # the master that has the slot until then has answered: nobody else waits
                    self._moving[slot] = _under_way(slot)
                self._nodes.failing.add(address)
                self._look_soon()
                raise
            else:
                self._nodes.failing.discard(address)
                self._moving.pop(slot, None)
                return answer
        self._moving[slot] = _under_way(slot)
        raise StoreUnavailable(f"the Redis Cluster moves slot {slot} to another master now")

    async def run_everywhere(self, work: Work) -> list[Any]:
        """See `Servers`."""
        await self.look_again()
        addresses = [one for one in self._slots.masters if one != UNSERVED]
        return [await self._nodes.at(one).call(work) for one in addresses]

    async def close(self) -> None:
        """See `Servers`."""
        if self._looking is not None:
            self._looking.cancel()
        await self._nodes.close()

    def _look_soon(self) -> None:
        """In the background: whose master answers is not to wait for that."""
        is_looking = self._looking is not None and not self._looking.done()
        if not is_looking and time.monotonic() >= self._looked_at + _LOOK_AGAIN_SECONDS:
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> StoreUnavailable | None:
        try:
            self._slots = await self._nodes.slots()
        except StoreUnavailable as problem:
            return problem
        finally:
            self._looked_at = time.monotonic()
        return None


def _under_way(slot: int) -> str:
    """The part of a slot alone, while it is being moved."""
    return f"slot {slot}"

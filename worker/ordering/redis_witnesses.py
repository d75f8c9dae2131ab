"""The epoch of a Redis Cluster, where one master may lose its data, and the others keep theirs.

Each master has a *witness*: a random text in a slot of its own. Beside the epoch it is kept what
each witness has said. One that is gone, and so says another thing, has gone with all the data of
its master: then the epoch of the whole state is lost, and another one begins.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from worker.ordering.epoch import Epochs, new_epoch
from worker.ordering.redis_calls import Script
from worker.ordering.redis_cluster import SHARED_TAG, ClusterServers
from worker.ordering.redis_namespace import RedisEpochs, Run
from worker.ordering.store_protocol import StoreUnavailable

_WITNESS: Final = Script("witness.lua")
_WITNESSES: Final = Script("witnesses.lua")
_MOST_WITNESSES: Final = 256
"""Those of slots that were the first of a master once are looked at, too, up to so many."""
_TAG: Final = re.compile("[0-9]{1,16}", re.ASCII)
_SAID: Final = re.compile("[0-9a-f]{16}")


class ClusterEpochs(RedisEpochs):
    """The epochs of a namespace on a Redis Cluster. `run` runs a script with keys and arguments,
    and raises `StoreUnavailable`.
    """

    def __init__(self, run: Run, servers: ClusterServers, namespace: str) -> None:
        super().__init__(run, servers.shared_key(namespace, "epoch"))
        self._table = servers.shared_key(namespace, "witnesses")
        self._servers = servers
        self._namespace = namespace
        self._last: Epochs | None = None
        self._said: Mapping[str, str] = {}

    async def look(self, met: Collection[str]) -> Epochs:
        """See `EpochKeeper`. What a master that is away has is `unasked`, until it is back. While
        that with the epoch is away, it is the last known one for as long as no witness has changed.
        """
        if self._servers.is_failing(SHARED_TAG):
            return await self._look_without(met)
        before = _before(await self._run(_WITNESSES, [self._table], ()))
        changes, unasked = await self._changes(before)
        if changes:
            words = [word for change in changes for word in change]
            await self._call("witness", new_epoch(), words, self._table)
        self._last = await super().look(met)
        self._said = before | {tag: now for tag, _, now in changes}
        return self._last._replace(unasked=unasked)

    async def _look_without(self, met: Collection[str]) -> Epochs:
        last = self._last
        if last is not None:
            changes, unasked = await self._changes(self._said)
            known = {last.present, *(one.epoch for one in last.losses)}
            if not changes and known.issuperset(met):
                return last._replace(unasked=unasked)
        raise StoreUnavailable("the master of the Redis Cluster that has the epoch is away")

    async def _changes(
        self, before: Mapping[str, str]
    ) -> tuple[list[tuple[str, str, str]], frozenset[str]]:
        """The tag of each witness that says another thing than before: that, and what it says; and
        the parts of which a witness could not be asked.
        """
        tags = set(self._servers.tags)
        if len(before) <= _MOST_WITNESSES:
            tags |= before.keys()
        asked = [one for one in tags if not self._servers.is_failing(one)]
        said = await asyncio.gather(*map(self._ask, asked))
        told = dict(zip(asked, said, strict=True))
        changes = [
            (tag, before.get(tag, ""), now)
            for tag, now in told.items()
            if now is not None and now != before.get(tag)
        ]
        unasked = {self._servers.part_of(tag) for tag in tags if told.get(tag) is None}
        return changes, frozenset(unasked)

    async def _ask(self, tag: str) -> str | None:
        """What a witness says; None while its master is away."""
        key = f"{self._namespace}:{{{tag}}}:witness"
        try:
            said = await self._run(_WITNESS, [key], (new_epoch(),))
        except StoreUnavailable:
            return None
        return said.decode(errors="replace") if isinstance(said, bytes) else None


def _before(answer: Sequence[bytes]) -> dict[str, str]:
    """Tag → what its witness said, empty where that can't be read. What has no tag of ours was
    written by somebody else.
    """
    told = [one.decode(errors="replace") for one in answer]
    return {
        tag: said if _SAID.fullmatch(said) else ""
        for tag, said in zip(told[::2], told[1::2], strict=True)
        if _TAG.fullmatch(tag)
    }

"""What is known of the inlets of a namespace on Redis: `NAMESPACE:inlets`, see inlets.lua."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from worker.ordering.inlet_notes import MOST_CHARACTERS, MOST_INLETS
from worker.ordering.redis_epoch import Run
from worker.ordering.redis_script import Script

_SCRIPT: Final = Script("inlets.lua")
_AT_ONCE: Final = 500
"""Ids in a call; Lua unpacks some thousands at most."""


class RedisInlets:
    """`run` runs a script with keys and arguments, and raises `StoreUnavailable`; so does each
    method here.
    """

    def __init__(self, run: Run, namespace: str) -> None:
        self._run = run
        self._key = f"{namespace}:inlets"

    async def keep(self, state_id: str, text: str) -> None:
        """See `InletKeeper`."""
        if len(text) <= MOST_CHARACTERS:
            await self._run(_SCRIPT, [self._key], ("keep", MOST_INLETS, state_id, text))

    async def kept(self, state_ids: Collection[str]) -> dict[str, str]:
        """See `InletKeeper`. What is no text of ours is none."""
        ids, found = list(state_ids), {}
        for first in range(0, len(ids), _AT_ONCE):
            asked = ids[first : first + _AT_ONCE]
            texts = await self._run(_SCRIPT, [self._key], ("kept", *asked))
            for one, text in zip(asked, texts, strict=True):
                if isinstance(text, bytes) and len(text) <= MOST_CHARACTERS:
                    found[one] = text.decode(errors="replace")
        return found

"""State ids of a namespace on Redis: `NAMESPACE:states`, see state_ids.lua."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from worker.ordering.redis_epoch import Run
from worker.ordering.redis_script import Script
from worker.ordering.state_ids import MOST_STATE_IDS

_SCRIPT: Final = Script("state_ids.lua")
_WRITES: Final = "@"
_NUMBER: Final = re.compile("[0-9]{1,15}")


class RedisStateIds:
    """`run` runs a script with keys and arguments, and raises `StoreUnavailable`; so does each
    method here.
    """

    def __init__(self, run: Run, namespace: str) -> None:
        self._run = run
        self._key = f"{namespace}:states"

    async def read(self) -> tuple[Mapping[str, str], int]:
        """See `StateIdKeeper`."""
        answer = [one.decode(errors="replace") for one in await self._call("read")]
        texts = dict(zip(answer[::2], answer[1::2], strict=True))
        writes = texts.pop(_WRITES, "")
        return texts, int(writes) if _NUMBER.fullmatch(writes) else 0

    async def write(self, texts: Mapping[str, str], writes_before: int) -> bool:
        """See `StateIdKeeper`."""
        pairs = [word for pair in texts.items() for word in pair]
        return bool(await self._call("write", writes_before, MOST_STATE_IDS, *pairs))

    async def _call(self, *arguments: str | int) -> Any:
        return await self._run(_SCRIPT, [self._key], arguments)

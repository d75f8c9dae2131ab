"""The epochs of a namespace on Redis: `NAMESPACE:epoch`, see epoch.lua."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final

from worker.ordering.epoch import Epochs, Loss, new_epoch
from worker.ordering.redis_script import Script
from worker.ordering.store_protocol import StoreUnavailable

_SCRIPT: Final = Script("epoch.lua")
_TEXT: Final = re.compile(r"([0-9a-f]{16}) ([0-9]{1,16})((?: [0-9a-f]{16}:[0-9]+:[0-9]+)*)")
_LOSS: Final = re.compile(r" ([0-9a-f]{16}):([0-9]+):([0-9]+)")

Run = Callable[[Script, Sequence[str], Sequence[str | int]], Awaitable[Any]]


class RedisEpochs:
    """`run` runs a script with keys and arguments, and raises `StoreUnavailable`; so does each
    method here.
    """

    def __init__(self, run: Run, namespace: str) -> None:
        self._run = run
        self._key = f"{namespace}:epoch"

    async def look(self, met: Collection[str]) -> Epochs:
        """See `EpochKeeper`."""
        return _read(await self._call("look", new_epoch(), met))

    async def read(self) -> Epochs | None:
        """As they are now; None where no worker has looked yet. Changes nothing."""
        answer = await self._call("read", "", ())
        return None if answer is None else _read(answer)

    async def accept(self, lost: Collection[str]) -> None:
        """An operator has accepted the loss of these."""
        await self._call("accept", "", lost)

    async def _call(self, task: str, new: str, epochs: Collection[str]) -> Any:
        return await self._run(_SCRIPT, [self._key], (task, new, *epochs))


def _read(answer: Any) -> Epochs:
    """What the script has written, always in the same form."""
    found = _TEXT.fullmatch(answer.decode("latin-1")) if isinstance(answer, bytes) else None
    if found is None:
        raise StoreUnavailable("Redis gives an epoch that this version can't read")
    present, began, losses = found.groups()
    return Epochs(
        present,
        int(began),
        tuple(
            Loss(epoch, int(noticed), int(accepted))
            for epoch, noticed, accepted in _LOSS.findall(losses)
        ),
    )

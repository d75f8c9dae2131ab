"""What a namespace on Redis keeps beside users: epochs, state ids, and what is known of inlets."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final

from worker.ordering.epoch import Epochs, Loss, new_epoch
from worker.ordering.inlet_notes import MOST_CHARACTERS, MOST_INLETS
from worker.ordering.redis_calls import Script
from worker.ordering.state_ids import MOST_STATE_IDS
from worker.ordering.store_protocol import StoreUnavailable

_EPOCH_SCRIPT: Final = Script("epoch.lua")
_TEXT: Final = re.compile(r"([0-9a-f]{16}) ([0-9]{1,16})((?: [0-9a-f]{16}:[0-9]+:[0-9]+)*)")
_LOSS: Final = re.compile(r" ([0-9a-f]{16}):([0-9]+):([0-9]+)")

Run = Callable[[Script, Sequence[str], Sequence[str | int]], Awaitable[Any]]


class RedisEpochs:
    """The epochs of a namespace on Redis, kept at `key`. `run` runs a script with keys and
    arguments, and raises `StoreUnavailable`; so does each method here.
    """

    def __init__(self, run: Run, key: str) -> None:
        self._run = run
        self._key = key

    async def look(self, met: Collection[str]) -> Epochs:
        """See `EpochKeeper`."""
        return _read(await self._call("look", new_epoch(), met))

    async def read(self) -> Epochs | None:
        """The epochs as they are now; None where no worker has looked yet. Changes nothing."""
        answer = await self._call("read", "", ())
        return None if answer is None else _read(answer)

    async def accept(self, lost: Collection[str]) -> None:
        """An operator has accepted the loss of these epochs."""
        await self._call("accept", "", lost)

    async def _call(self, task: str, new: str, words: Collection[str], *more_keys: str) -> Any:
        return await self._run(_EPOCH_SCRIPT, [self._key, *more_keys], (task, new, *words))


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


_INLETS_SCRIPT: Final = Script("inlets.lua")
_AT_ONCE: Final = 500
"""Ids in a call; Lua unpacks some thousands at most."""


class RedisInlets:
    """What a namespace on Redis knows of inlets, kept at `key`. `run` runs a script with keys and
    arguments, and raises `StoreUnavailable`; so does each method here.
    """

    def __init__(self, run: Run, key: str) -> None:
        self._run = run
        self._key = key

    async def keep(self, state_id: str, text: str) -> None:
        """See `InletKeeper`."""
        if len(text) <= MOST_CHARACTERS:
            await self._run(_INLETS_SCRIPT, [self._key], ("keep", MOST_INLETS, state_id, text))

    async def kept(self, state_ids: Collection[str]) -> dict[str, str]:
        """See `InletKeeper`. What is no text of ours is none."""
        ids, found = list(state_ids), {}
        for first in range(0, len(ids), _AT_ONCE):
            asked = ids[first : first + _AT_ONCE]
            texts = await self._run(_INLETS_SCRIPT, [self._key], ("kept", *asked))
            for one, text in zip(asked, texts, strict=True):
                if isinstance(text, bytes) and len(text) <= MOST_CHARACTERS:
                    found[one] = text.decode(errors="replace")
        return found


_STATE_IDS_SCRIPT: Final = Script("state_ids.lua")
_WRITES: Final = "@"
_NUMBER: Final = re.compile("[0-9]{1,15}")


class RedisStateIds:
    """The state ids of a namespace on Redis, kept at `key`. `run` runs a script with keys and
    arguments, and raises `StoreUnavailable`; so does each method here.
    """

    def __init__(self, run: Run, key: str) -> None:
        self._run = run
        self._key = key

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
        return await self._run(_STATE_IDS_SCRIPT, [self._key], arguments)

"""Month keys in Redis, by which the receipts of a whole fleet call persons."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from worker.ordering.month_keys import new_key
from worker.ordering.redis_calls import Script
from worker.ordering.store_protocol import StoreUnavailable, to_ms

_SCRIPT: Final = Script("month_keys.lua")
_KEY: Final = re.compile(rb"[0-9a-f]{64}")

Run = Callable[[Script, Sequence[str], Sequence[str | int]], Awaitable[Any]]


class RedisMonthKeys:
    """The month keys of a fleet. `run` runs a script with keys and arguments, and raises
    `StoreUnavailable`; so does each method here. `key` is where they are kept.
    """

    def __init__(self, run: Run, key: str) -> None:
        self._run = run
        self._key = key

    async def key_of(self, month: str, life_seconds: float, held: bytes | None = None) -> bytes:
        """See `MonthKeys`."""
        arguments = (month, (held or new_key()).hex(), to_ms(life_seconds))
        return _read(await self._run(_SCRIPT, [self._key], arguments))

    async def known(self) -> dict[str, bytes]:
        """See `MonthKeys`."""
        answer = await self._run(_SCRIPT, [self._key], ())
        months = [one.decode(errors="replace") for one in answer[::2]]
        return dict(zip(months, map(_read, answer[1::2]), strict=True))


def _read(said: Any) -> bytes:
    if not isinstance(said, bytes) or not _KEY.fullmatch(said):
        raise StoreUnavailable("Redis gives a key that this version can't read")
    return bytes.fromhex(said.decode())

"""Keeps work beside something else going for as long as the process runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

AGAIN_SECONDS: Final = 5.0


async def keep_running(
    work: Callable[[], Awaitable[None]], tell: Callable[[Exception], None]
) -> None:
    """Do `work`, until this is cancelled. A fault of ours in it is told, while it is handled; then
    it is begun anew, since nobody else would.
    """
    me = asyncio.current_task()
    while True:
        try:
            await work()
        except Exception as error:
            tell(error)
            if me is not None and me.cancelling():
                return  # it came in the place of the cancellation
        await asyncio.sleep(AGAIN_SECONDS)

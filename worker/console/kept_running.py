"""What works beside the pages for as long as the console runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

log = structlog.get_logger(__name__)

AGAIN_SECONDS: Final = 5.0


async def keep_running(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do `work`, until this is cancelled. A fault of ours in it is logged by its type alone, since
    its text may quote an event; then it is begun anew, since nobody else would.
    """
    me = asyncio.current_task()
    while True:
        try:
            await work()
        except Exception as error:
            log.exception("console.unexpected_error", work=name, error=type(error).__name__)
            if me is not None and me.cancelling():
                return  # it came in the place of the cancellation
        await asyncio.sleep(AGAIN_SECONDS)

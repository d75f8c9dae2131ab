"""Running a program in an event loop that ends with it, whatever is left in the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import uvloop

_LAST_SECONDS: Final = 2.0
"""For what is left to end once it is cancelled."""


def run_to_the_end(main: Coroutine[Any, Any, None]) -> None:
    """Run the program `main`, and raise what it raises; KeyboardInterrupt at Ctrl-C.

    `asyncio.run` waits for every task that is left, without a limit. One that was given up may wait
    for a broker that keeps its line alive and says no more: aiormq answers a cancellation by asking
    the broker to close the channel. Such a task is let go of.
    """
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    try:
        runner.run(main)
    finally:
        runner.run(_end_the_rest())
        runner.get_loop().close()  # not the runner, which would wait


async def _end_the_rest() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=_LAST_SECONDS)

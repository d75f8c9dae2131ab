"""One command at a time, where two would hide from each other what they hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from aio_pika.abc import AbstractConnection

from worker.broker.queue_locks import acquire_lock, release_lock
from worker.cli.command_support import complain
from worker.cli.interrupt import Stop
from worker.wire.connection_errors import ChannelAccessRefused

_ASK_AGAIN_SECONDS: Final = 0.25
_TELL_AFTER_TRIES: Final = 2
"""The broker needs a moment to notice that a command was killed, which is worth no word."""


@asynccontextmanager
async def alone(connection: AbstractConnection, lock: str, stop: Stop) -> AsyncIterator[None]:
    """The block runs while no other command holds `lock`; until then it waits, and says so once.

    A user of the broker without the right to configure the lock works without one, and is told.
    Raises `Interrupted` when asked to stop while it waits.
    """
    is_held = await _wait_for(connection, lock, stop)
    yield
    if is_held:
        # Before the connection ends, so that the next command need not wait.
        await release_lock(connection, lock)


async def _wait_for(connection: AbstractConnection, lock: str, stop: Stop) -> bool:
    """Whether the lock is held; False where this user may not."""
    tries = 0
    try:
        while not await acquire_lock(connection, lock):
            tries += 1
            if tries == _TELL_AFTER_TRIES:
                complain("another command works on the dead letters; waiting until it ends")
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.asked.wait(), _ASK_AGAIN_SECONDS)
            stop.check("another command was at work, and nothing was done")
    except ChannelAccessRefused:
        complain(
            f"RabbitMQ does not let this user configure {lock}: dead letters that another command "
            "holds at the same time are not seen by this one"
        )
        return False
    return True

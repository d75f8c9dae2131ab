"""Waits until no message is under way in the delay, and none on its way to the dead letters.

Two numbers hide messages. A message leaves one queue of the delay for the next, so all of them
count, the longest first: that is the way a message takes. And what a queue has handed on is in none
of its numbers until the next one has confirmed it. RabbitMQ repeats what a node that ended has not
confirmed after `dead_letter_worker_publisher_confirm_timeout` (180 s unless it is set), or after
twice as long where the timer ran for an older message; so nobody knows before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from aio_pika.abc import AbstractConnection

from worker.broker.queue_deletion import QueueDeletion
from worker.broker.topology import Queue
from worker.broker.topology_state import find_queue
from worker.errors import WorkFailed

_LOOK_SECONDS: Final = 0.5


class NotMigrated(WorkFailed):
    """A migration is not done; the text says why, and that the rest is as it was."""


class DelayEmptying:
    """The wait for `names`, queues of the delay, the longest first; for none of them, too, since
    every queue hands on dead letters. `told` is given what is waited for.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        deletion: QueueDeletion,
        names: Sequence[str],
        told: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._deletion = deletion
        self._names = names
        self._told = told

    async def wait(self, wait_seconds: float, settle_seconds: float) -> None:
        """Return when no message can be under way: they may take `wait_seconds` to leave, and what
        nobody has confirmed is repeated within `settle_seconds`. Raises `NotMigrated` where some
        stay longer, `LeaderAway`, and what the broker answers.
        """
        ends_at = time.monotonic() + wait_seconds
        await self._until_empty(ends_at)
        if not settle_seconds:
            return
        self._told(
            f"waiting {settle_seconds:g} s, since messages may be out of sight that a node which "
            "ended has not confirmed; where `rabbitmqctl list_queues name messages_ready messages` "
            "shows the same two numbers for each queue there are none: `--settle 0s`"
        )
        ends_at += settle_seconds
        quiet_at = time.monotonic() + settle_seconds
        while time.monotonic() < quiet_at:
            await asyncio.sleep(_LOOK_SECONDS)
            if any([await self._has_messages(one) for one in self._names]):
                await self._until_empty(ends_at)
        await self._until_empty(ends_at)

    async def _until_empty(self, ends_at: float) -> None:
        """Until one pass finds no message."""
        is_told = False
        while full := [one for one in self._names if not await self._is_empty(one)]:
            if time.monotonic() >= ends_at:
                raise NotMigrated(
                    f"nothing was changed: {', '.join(full)} still has messages, which leave by "
                    "themselves; run the command again later"
                )
            if not is_told:
                is_told = True
                self._told(f"waiting until the delay is empty: {', '.join(full)} has messages")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _is_empty(self, name: str) -> bool:
        # Asked for proof only then: that takes a message into its hand for a moment.
        return not await self._has_messages(name) and await self._deletion.is_empty(name)

    async def _has_messages(self, name: str) -> bool:
        return (await find_queue(self._connection, Queue(name))).messages > 0

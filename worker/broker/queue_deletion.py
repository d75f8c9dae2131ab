"""Deletes a queue on proof that it is empty.

Of a quorum queue whose leader does not answer for 250 ms RabbitMQ says that it has no messages and
no consumers, and it deletes such a queue when it is told to, with all that is in it. So no answer
counts without a consumer of our own in it: who knows of that has taken in all that was before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeVar

from aio_pika.abc import AbstractConnection

from worker.errors import WorkFailed
from worker.wire.channels import TIMEOUT_SECONDS, ConsumerChannel, open_channel
from worker.wire.connecting import CLOSE_TIMEOUT_SECONDS, ChannelNotFoundEntity, at_most
from worker.wire.message_tap import TappedTransport

T = TypeVar("T")

_PROOF_SECONDS: Final = 10.0
"""So long a queue may take to tell of our consumer: an election takes some seconds."""
_LOOK_SECONDS: Final = 0.1


class LeaderAway(WorkFailed):
    """Nobody can tell whether a queue is empty, so it is as it was."""


class QueueDeletion:
    """Deletes empty queues by one connection, which `transport` has opened."""

    def __init__(self, connection: AbstractConnection, transport: TappedTransport) -> None:
        self._connection = connection
        self._transport = transport

    async def is_empty(self, name: str) -> bool:
        """Whether a queue has no messages, and nobody takes from it. Raises `LeaderAway`, and what
        the broker answers.
        """
        return await self._examine(name, 0, deletes=False)

    async def check_leader(self, name: str) -> None:
        """Return when the leader of a queue has answered, or the queue is not there. Raises
        `LeaderAway`: what another queue hands on to this one is then in no number, and would go
        with that other queue.
        """
        ends_at = time.monotonic() + _PROOF_SECONDS
        with suppress(ChannelNotFoundEntity):
            async with self._channel(lambda: None) as channel:
                if any(await _ask(channel, name, ends_at)):
                    return  # without an answer of the leader both are 0
                await channel.basic_qos(prefetch_count=1, timeout=TIMEOUT_SECONDS)
                await _in_time(channel.consume(name), name, ends_at)
                while not any(await _ask(channel, name, ends_at)):
                    if time.monotonic() >= ends_at:
                        raise _leader_away(name)
                    await asyncio.sleep(_LOOK_SECONDS)

    async def delete_if_empty(self, name: str, quiet_seconds: float) -> bool:
        """Delete a queue, unless it has messages or consumers, or gets a message within
        `quiet_seconds`; whether it is gone. Raises `LeaderAway`, and what the broker answers.

        The broker can't be told to look at that itself: for quorum queues it has not implemented
        it. So nobody may publish to the queue any more.
        """
        return await self._examine(name, quiet_seconds, deletes=True)

    async def _examine(self, name: str, quiet_seconds: float, *, deletes: bool) -> bool:
        came = asyncio.Event()
        with suppress(ChannelNotFoundEntity):
            async with self._channel(came.set) as channel:
                await channel.basic_qos(prefetch_count=1, timeout=TIMEOUT_SECONDS)
                await _in_time(channel.consume(name), name, time.monotonic() + _PROOF_SECONDS)
                if not await _is_ours_alone(channel, name):
                    return False
                with suppress(TimeoutError):
                    async with asyncio.timeout(quiet_seconds):
                        await came.wait()
                if came.is_set() or not await _is_ours_alone(channel, name) or came.is_set():
                    return False
                if deletes:
                    await channel.queue_delete(name)
        return True

    @asynccontextmanager
    async def _channel(self, came: Callable[[], None]) -> AsyncIterator[ConsumerChannel]:
        """A channel to ask a queue by. `came` is called for a message that comes, which is held,
        and given back with the channel.
        """
        channel = await open_channel(self._connection, ConsumerChannel)
        self._transport.splitter.listen(channel.number, lambda *_: came())
        try:
            yield channel
        finally:
            # The channel of a queue that does not answer does not, either.
            await at_most(CLOSE_TIMEOUT_SECONDS, channel.close())
            self._transport.splitter.stop_listening(channel.number)


async def _is_ours_alone(channel: ConsumerChannel, name: str) -> bool:
    """Whether the consumer of `channel` is the only one of an empty queue. Raises `LeaderAway`."""
    ends_at = time.monotonic() + _PROOF_SECONDS
    while True:
        consumers, messages = await _ask(channel, name, ends_at)
        if messages:
            return False
        if consumers == 1:
            # By the next answer a message has come that was on its way to us at this one.
            return await _ask(channel, name, ends_at) == (1, 0)
        if time.monotonic() >= ends_at:
            if not consumers:
                raise _leader_away(name)
            return False
        await asyncio.sleep(_LOOK_SECONDS)  # a consumer that has gone is counted for a moment


async def _ask(channel: ConsumerChannel, name: str, ends_at: float) -> tuple[int, int]:
    """Consumers and messages of a queue. The broker answers by this channel when the queue has
    taken our consumer in. Raises `LeaderAway` where that lasts longer than until `ends_at`.
    """
    declared = await _in_time(channel.queue_declare(name, passive=True), name, ends_at)
    return declared.consumer_count or 0, declared.message_count or 0


async def _in_time(work: Awaitable[T], name: str, ends_at: float) -> T:
    """What the broker answers. aiormq waits for its consent to give `work` up, so nobody waits for
    that here.
    """
    asking = asyncio.ensure_future(work)
    asking.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait({asking}, timeout=max(0.0, ends_at - time.monotonic()))
    if not asking.done():
        asking.cancel()
        raise _leader_away(name)
    try:
        return asking.result()
    except TimeoutError:
        raise _leader_away(name) from None


def _leader_away(name: str) -> LeaderAway:
    return LeaderAway(
        f"the leader of queue {name} does not answer, so nobody can tell whether the queue is "
        "empty, or has what another one hands on to it, and no such queue was deleted; run the "
        "command again when the broker is well"
    )

"""The operator's side of the dead-letter queue: reading, replaying, discarding, exporting.

Messages are taken with basic.get and held unacknowledged, so whatever ends the command early, the
broker puts back all that was not settled. Only the broker holds them: here a body is forgotten as
soon as it was handled. Replaying confirms the new message before the old one is acknowledged:
killed in between, the event is there twice, which is harmless, and never not at all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from worker.broker import headers as names
from worker.broker.letter_selection import describe, whole_number
from worker.broker.republished import successor_of
from worker.broker.topology import Names
from worker.wire.pamqp_patch import accept_any_properties

_PUBLISH_TIMEOUT_SECONDS: Final = 30.0
_READ_TIMEOUT_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05
_COUNT_POLLS: Final = 20
_RETURN_POLLS: Final = 200


class NotReplayed(Exception):
    """A dead letter that would only come back; the text says why."""


class DeadLetters:
    """Works on the dead-letter queue: reads by some channels, replays by one that confirms.

    A channel answers one basic.get after the other, and each takes the broker a round trip and a
    disk write. So several channels take turns, which keeps about the order of the queue. From the
    first one on, this process reads any properties: a letter may have such as pamqp raises for.
    """

    def __init__(
        self, reading: Sequence[AbstractChannel], publishing: AbstractChannel, queues: Names
    ) -> None:
        accept_any_properties()
        self._reading = reading
        self._publishing = publishing
        self._queues = queues
        self._asked: deque[asyncio.Task[AbstractIncomingMessage | None]] = deque()
        self._held = 0

    async def count(self) -> int:
        """Dead letters that are ready, once their number stands still.

        A command that was killed gives back what it held only after its connection is gone, and
        bit by bit; a number taken meanwhile is too small.
        """
        before = await self._ready()
        for _ in range(_COUNT_POLLS):
            await asyncio.sleep(_POLL_SECONDS)
            now = await self._ready()
            if now == before:
                break
            before = now
        return before

    async def read(self, limit: int) -> AsyncIterator[AbstractIncomingMessage]:
        """The first `limit` dead letters, each held until it is settled or given back.

        With the count at the start as limit, a letter that is replayed and fails again is not read
        again: it stands behind those that were there before.
        """
        for number in range(limit):
            channel = self._reading[number % len(self._reading)]
            self._asked.append(asyncio.create_task(self._get(channel)))
            if len(self._asked) == len(self._reading):
                if (message := await self._asked.popleft()) is None:
                    return
                yield message
        while self._asked:
            if (message := await self._asked.popleft()) is not None:
                yield message

    async def replay(
        self, message: AbstractIncomingMessage, max_event_bytes: int, epoch: str | None = None
    ) -> None:
        """Send a dead letter on its way again, with a fresh budget, then take it off the queue.
        From now on it is of this `epoch`.

        One that names its integration goes to `consent.retries`, so that a long replay does not
        hold up fresh events; one that never got that far is handled as a fresh event.
        Raises `NotReplayed` for one whose body is larger than the worker takes.
        """
        # Where the number of a bundle is none of ours, what is in it tells.
        events = whole_number(message.headers.get(names.BUNDLE), names.MAX_ATTEMPTS) or 0
        await self.replay_part(message, message.body, events, max_event_bytes, epoch)
        await self.discard(message)

    async def replay_part(
        self,
        message: AbstractIncomingMessage,
        body: bytes,
        events: int,
        max_event_bytes: int,
        epoch: str | None = None,
    ) -> None:
        """As `replay`, but with this body of so many events of a bundle; and the message stays."""
        letter = describe(message)
        is_bundle = names.BUNDLE in message.headers
        most = names.most_body_bytes(max_event_bytes) if is_bundle else max_event_bytes
        if len(body) > most:
            raise NotReplayed(
                f"its body has {len(body)} bytes, and a worker takes {most} of it at most; "
                "raise CONSENT_WORKER_MAX_EVENT_BYTES for the workers and for this command first"
            )
        own: dict[str, Any] = {names.REPLAYS: min(letter.replays + 1, names.MAX_ATTEMPTS)}
        queue = self._queues.events
        if is_bundle:
            own[names.BUNDLE] = events
        if epoch is not None:
            own[names.EPOCH] = epoch
        if letter.integration:
            own[names.INTEGRATION] = letter.integration
            if names.is_repeat(message.headers):
                own[names.REPEAT] = 1
            queue = self._queues.retries
        await self._publish(message, body, queue, own)

    async def replace_by_part(
        self, message: AbstractIncomingMessage, body: bytes, events: int
    ) -> None:
        """Keep only this part of a bundle, with so many events, as a dead letter of its own; then
        take the whole off the queue. Killed in between, the part is there twice.
        """
        own = {name: value for name, value in message.headers.items() if name in names.OWN_HEADERS}
        own |= {names.BUNDLE: events, names.DEAD_REASON: describe(message).reason}
        await self._publish(message, body, self._queues.dead_letters, own)
        await self.discard(message)

    async def _publish(
        self, message: AbstractIncomingMessage, body: bytes, queue: str, own: dict[str, Any]
    ) -> None:
        publishing = await self._publishing.get_underlay_channel()
        await publishing.basic_publish(
            body,
            routing_key=queue,
            properties=successor_of(message.properties, own),
            mandatory=True,
            timeout=_PUBLISH_TIMEOUT_SECONDS,
        )

    async def discard(self, message: AbstractIncomingMessage) -> None:
        """Take a dead letter off the queue for good."""
        await message.ack()
        self._held -= 1

    async def give_back(self) -> None:
        """Put back what is held, and wait until it is in the queue and every settlement is in.

        The broker answers before it has put anything back. Without the wait the next command, or
        whoever looks at the queue, would find fewer dead letters than there are.
        """
        if self._asked:
            await asyncio.wait(self._asked)
            self._asked.clear()
        if self._held:
            expected = await self._ready() + self._held
            for channel in self._reading:
                underlay = await channel.get_underlay_channel()
                await underlay.basic_nack(0, multiple=True, requeue=True)  # 0: all of the channel
            self._held = 0
            # Another operator may take some at once, so the wait has an end.
            for _ in range(_RETURN_POLLS):
                if await self._ready() >= expected:
                    break
                await asyncio.sleep(_POLL_SECONDS)
        # Closing is answered after the acknowledgements before it were taken in.
        for channel in self._reading:
            await channel.close()

    async def _get(self, channel: AbstractChannel) -> AbstractIncomingMessage | None:
        queue = await channel.get_queue(self._queues.dead_letters, ensure=False)
        message = await queue.get(no_ack=False, fail=False, timeout=_READ_TIMEOUT_SECONDS)
        self._held += message is not None
        return message

    async def _ready(self) -> int:
        queue = await self._publishing.declare_queue(self._queues.dead_letters, passive=True)
        return queue.declaration_result.message_count or 0

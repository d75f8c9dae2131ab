"""The operator's side of the dead-letter queue: reading, replaying, discarding, exporting.

Letters are held unacknowledged, so whatever ends the command early, the broker puts back all that
was not settled. Replaying confirms the new message before the old one is acknowledged: killed in
between, the event is there twice, which is harmless, and never not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Final, TypeVar

from aio_pika.abc import AbstractChannel, AbstractConnection

from worker.broker import headers as names
from worker.broker.dead_letter import describe, whole_number
from worker.broker.held_letters import HeldLetter
from worker.broker.letter_reading import LetterReading
from worker.broker.queue_names import Names
from worker.broker.republished import successor_of
from worker.wire.message_tap import TappedTransport

T = TypeVar("T")

_PUBLISH_TIMEOUT_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05
_COUNT_POLLS: Final = 20
_RETURN_POLLS: Final = 200


class NotReplayed(Exception):
    """A dead letter that would only come back; the text says why."""


def replay_refusal(message: HeldLetter, body_bytes: int, max_event_bytes: int) -> str:
    """Why a dead letter with a body of that size would only come back; "" where it may go."""
    is_bundle = names.BUNDLE in message.headers
    most = names.most_body_bytes(max_event_bytes) if is_bundle else max_event_bytes
    if body_bytes <= most:
        return ""
    return (
        f"its body has {body_bytes} bytes, and a worker takes {most} of it at most; raise "
        "CONSENT_WORKER_MAX_EVENT_BYTES for the workers and for this command first"
    )


class DeadLetters:
    """Works on the dead-letter queue: reads by some channels of `connection`, which `transport` has
    opened, and publishes by one that confirms.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        transport: TappedTransport,
        publishing: AbstractChannel,
        queues: Names,
    ) -> None:
        self._transport = transport
        self._publishing = publishing
        self._queues = queues
        self._ready = partial(self.waiting_in, queues.dead_letters)
        self._reading = LetterReading(
            connection, transport.splitter, queues.dead_letters, self._ready
        )

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

    def read(
        self,
        limit: int,
        take: Callable[[HeldLetter], T | None],
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> AsyncIterator[T]:
        """What `take` makes of the first `limit` dead letters, see `LetterReading.read`. Each is
        held until it is taken off or given back.

        With the count at the start as limit, a letter that is replayed and fails again is not read
        again: it stands behind those that were there before.
        """
        return self._reading.read(limit, take, is_stopped)

    def listen(self, take: Callable[[HeldLetter], None]) -> None:
        """From now on `take` is given each dead letter that comes; what comes is held."""
        self._reading.listen(take)

    async def keep_room(self) -> None:
        """Have room for dead letters that come. Raises what the broker answers, and what has ended
        the reading: then none came any more.
        """
        await self._reading.keep_room()

    async def must_have_seen_all(self) -> None:
        """Return when no dead letter waits to be seen any more, which is looked at for a second.
        Raises what the broker answers, or where letters may have come unseen.
        """
        polls_left = _COUNT_POLLS
        # The answer comes behind the letters, and none comes of a dead line.
        while await self._ready():
            if not polls_left:
                raise TimeoutError
            polls_left -= 1
            await self._reading.keep_room()
            await asyncio.sleep(_POLL_SECONDS)
        await self._reading.keep_room()

    async def replay(
        self, message: HeldLetter, max_event_bytes: int, epoch: str | None = None
    ) -> None:
        """Send a dead letter on its way again, with a fresh budget, then take it off the queue.
        One that was never of an epoch is of this one from now on; any other stays what it is, or it
        would be held back no longer if it died again.

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
        message: HeldLetter,
        body: bytes,
        events: int,
        max_event_bytes: int,
        epoch: str | None = None,
    ) -> None:
        """As `replay` of a dead letter, but with this body of so many events of a bundle; and the
        message stays.
        """
        if refusal := replay_refusal(message, len(body), max_event_bytes):
            raise NotReplayed(refusal)
        letter = describe(message)
        own: dict[str, Any] = {names.REPLAYS: min(letter.replays + 1, names.MAX_ATTEMPTS)}
        if names.BUNDLE in message.headers:
            own[names.BUNDLE] = events
        if (met := letter.epoch or epoch) is not None:
            own[names.EPOCH] = met
        if letter.integration:
            own[names.INTEGRATION] = letter.integration
            if names.is_repeat(message.headers):
                own[names.REPEAT] = 1
        await self._publish(message, body, self.replayed_to(message), own)

    def replayed_to(self, message: HeldLetter) -> str:
        """The queue that a dead letter is replayed to."""
        is_routed = names.integration_id_in(message.headers) is not None
        return self._queues.retries if is_routed else self._queues.events

    async def waiting_in(self, queue: str) -> int:
        """Messages of `queue` that no worker has taken. Raises what the broker answers."""
        declared = await self._publishing.declare_queue(queue, passive=True)
        return declared.declaration_result.message_count or 0

    async def replace_by_part(self, message: HeldLetter, body: bytes, events: int) -> None:
        """Keep only this part of a bundle, with so many events, as a dead letter of its own; then
        take the whole off the queue. Killed in between, the part is there twice.
        """
        own = {name: value for name, value in message.headers.items() if name in names.OWN_HEADERS}
        letter = describe(message)
        own |= {names.BUNDLE: events, names.DEAD_REASON: letter.reason}
        if letter.dead_at_ms is not None:  # of one that the broker made only its history has it
            own[names.DEAD_AT] = letter.dead_at_ms
        await self._publish(message, body, self._queues.dead_letters, own)
        await self.discard(message)

    async def _publish(
        self, message: HeldLetter, body: bytes, queue: str, own: dict[str, Any]
    ) -> None:
        publishing = await self._publishing.get_underlay_channel()
        await self._transport.while_connected(
            publishing.basic_publish(
                body,
                routing_key=queue,
                properties=successor_of(message.properties, own),
                mandatory=True,
                timeout=_PUBLISH_TIMEOUT_SECONDS,
            )
        )

    async def discard(self, letter: HeldLetter) -> None:
        """Take a dead letter off the queue for good. The broker has not heard of it yet when this
        returns, see `take_in`.
        """
        await self._transport.while_connected(letter.acknowledge())

    async def take_in(self) -> None:
        """Return when the broker has taken in all that was discarded. Raises what it answers."""
        await self._transport.while_connected(self._reading.take_in())

    async def give_back(self) -> None:
        """Put back the dead letters that are held, and wait until they are in the queue and every
        settlement is in.

        The broker answers before it has put anything back. Without the wait the next command, or
        whoever looks at the queue, would find fewer dead letters than there are.
        """
        held = await self._reading.stop()
        before = await self._ready()
        expected = before + held
        await self._reading.give_back()
        # Another operator may take some at once, so the wait ends when no more come back.
        polls_left = _RETURN_POLLS if held else 0
        while polls_left and (now := await self._ready()) < expected:
            polls_left = _RETURN_POLLS if now > before else polls_left - 1
            before = now
            await asyncio.sleep(_POLL_SECONDS)

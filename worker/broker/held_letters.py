"""Dead letters that this process holds: a channel with a consumer, and the messages it was given.

What is held is unacknowledged, so whatever ends the process, the broker has it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from aio_pika.abc import AbstractConnection

from worker.wire.channels import TIMEOUT_SECONDS, ConsumerChannel, on_closed, open_channel
from worker.wire.frame_splitter import FrameSplitter
from worker.wire.property_reader import read_properties

_RETURNED_AT_ONCE: Final = 32
"""Of more than that RabbitMQ (3.10) puts back in any order: a map of Erlang is sorted up to it."""


class HeldLetter:
    """A message of the dead-letter queue, with whatever properties its producer chose."""

    __slots__ = ("_tag", "_window", "body", "properties")

    def __init__(self, window: LetterWindow, tag: int, content_header: bytes, body: bytes) -> None:
        self._window = window
        self._tag = tag
        self.properties = read_properties(content_header)
        self.body = body

    @property
    def headers(self) -> Mapping[str, Any]:
        """The headers of the dead letter, as far as they can be read."""
        return self.properties.headers or {}

    @property
    def message_id(self) -> str | None:
        """The message id of whoever published the dead letter last."""
        return self.properties.message_id

    async def acknowledge(self) -> None:
        """Take the dead letter off the queue for good. Raises when its channel is closed."""
        await self._window.acknowledge(self._tag)


class LetterWindow:
    """Holds `most` dead letters at most. `on_letter` is given each as it comes, and must not raise;
    `on_end` is called when the broker gives no more.
    """

    def __init__(
        self, most: int, on_letter: Callable[[HeldLetter], None], on_end: Callable[[], None]
    ) -> None:
        self._most = most
        self._on_letter = on_letter
        self._on_end = on_end
        self._is_closing = False
        self._is_taken_in = True
        self._tags: dict[int, None] = {}
        """Of what is held, in the order in which it came."""

    async def open(
        self, connection: AbstractConnection, splitter: FrameSplitter, queue: str
    ) -> None:
        """Start consuming dead letters. Raises what the broker answers."""
        self._splitter = splitter
        self._channel = channel = await open_channel(connection, ConsumerChannel)
        splitter.listen(channel.number, self._on_message)
        on_closed(channel, self._ended)
        channel.on_cancelled(self._ended)
        await channel.basic_qos(prefetch_count=self._most, timeout=TIMEOUT_SECONDS)
        self._consumer_tag = await channel.consume(queue)

    @property
    def held(self) -> int:
        """How many dead letters the window holds."""
        return len(self._tags)

    @property
    def is_full(self) -> bool:
        """Whether the broker gives the window no more dead letters until one is settled."""
        return self.held >= self._most

    async def acknowledge(self, tag: int) -> None:
        """Take a dead letter off the queue for good. Raises when the channel is closed."""
        self._is_taken_in = False
        await self._channel.acknowledge((tag,))
        del self._tags[tag]

    async def take_in(self) -> None:
        """Return when the broker has taken in what was acknowledged. Raises what it answers."""
        if self._is_taken_in:
            return
        self._is_taken_in = True
        # A channel's frames are handled in their order, and this one is answered.
        await self._channel.basic_qos(prefetch_count=self._most, timeout=TIMEOUT_SECONDS)

    async def cancel(self) -> None:
        """Take no more dead letters. Raises what the broker answers."""
        await self._channel.basic_cancel(self._consumer_tag)

    async def give_back(self) -> None:
        """Have the broker put back all dead letters that are held, in their order. Raises what the
        broker answers.
        """
        tags, self._tags = list(self._tags), {}
        for at in range(0, len(tags), _RETURNED_AT_ONCE):
            last = tags[min(at + _RETURNED_AT_ONCE, len(tags)) - 1]
            await self._channel.basic_nack(last, multiple=True, requeue=True, wait=False)

    async def close(self) -> None:
        """Close the window's channel, answered after what was settled has been taken in."""
        self._is_closing = True
        self._splitter.stop_listening(self._channel.number)
        await self._channel.close()

    def _ended(self) -> None:
        if not self._is_closing:
            self._on_end()

    def _on_message(self, tag: int, content_header: bytes, body: bytes) -> None:
        self._tags[tag] = None
        self._on_letter(HeldLetter(self, tag, content_header, body))

"""Publishing with confirms: what is published within a moment goes in one write.

aiormq publishes with a lock, a timeout and a task's worth of futures for each message, which costs
about five times what this does. Every parked event and every retry is such a publish, so what it
costs is what a customer's broken endpoint costs the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pamqp.frame
import structlog
from aiormq import Channel
from aiormq.abc import ChannelFrame, ConfirmationFrameType
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from worker.broker.frames import content

log = structlog.get_logger(__name__)

_GATHER_SECONDS = 0.05
"""What is published meanwhile goes in one write: at 500 messages a second, the broker needs half as
much for bursts of 25 as for bursts of ten."""
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 10.0
_LOOK_SECONDS = 1.0
"""How often it is looked for confirms that are missing, and for an alarm, while anything waits."""


@dataclass(slots=True, eq=False)
class Publish:
    """One message on its way to the broker; `then` is called once it is confirmed."""

    exchange: str
    routing_key: str
    properties: Basic.Properties
    body: bytes
    mandatory: bool
    then: Callable[[], None]
    give_up_at: float = 0.0
    pause: float = _FIRST_PAUSE_SECONDS


class ConfirmChannel(Channel):
    """For `Publisher`. Calls `answered` for each publish with why it failed, or with "" when it is
    confirmed.
    """

    answered: Callable[[Publish, str], None]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.unconfirmed: dict[int, Publish] = {}
        self._returned: set[int] = set()
        self._frames: list[bytes] = []
        self._heads: dict[tuple[str, str, bool], bytes] = {}
        self._is_writing = False
        self._frame_bytes = self.max_content_size + self.CONTENT_FRAME_SIZE

    def publish(self, one: Publish) -> None:
        """Number the message and write it soon, in order. Raises what can't be encoded."""
        rest = content(self.number, one.properties, one.body, self._frame_bytes)
        self._frames += (self._head(one.exchange, one.routing_key, one.mandatory), rest)
        self.delivery_tag += 1
        self.unconfirmed[self.delivery_tag] = one
        if not self._is_writing:
            self._is_writing = True
            self.create_task(self._write())

    def _head(self, exchange: str, routing_key: str, mandatory: bool) -> bytes:
        """The first frame of a message, which is the same for all with one destination."""
        destination = (exchange, routing_key, mandatory)
        head = self._heads.get(destination)
        if head is None:
            command = Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=mandatory)
            head = self._heads[destination] = pamqp.frame.marshal(command, self.number)
        return head

    async def _write(self) -> None:
        # One task at a time: two that wait for room in the queue might go in either order, and the
        # broker would confirm other messages than these by their numbers.
        while self._frames:
            await asyncio.sleep(_GATHER_SECONDS)
            payload = b"".join(self._frames)
            self._frames.clear()
            await self.write_queue.put(ChannelFrame(payload=payload, should_close=False))
        self._is_writing = False

    async def _on_confirm_frame(self, frame: ConfirmationFrameType) -> None:
        last = frame.delivery_tag or 0
        tags = [last]
        if not isinstance(frame, Basic.Reject) and frame.multiple:
            # In the order of numbering, and none is ever left out: the confirmed ones come first.
            tags = []
            for tag in self.unconfirmed:
                if tag > last:
                    break
                tags.append(tag)
        problem = "" if isinstance(frame, Basic.Ack) else "refused"
        for tag in tags:
            # One that is unknown was given up before.
            if (one := self.unconfirmed.pop(tag, None)) is not None:
                self.answered(one, "returned" if tag in self._returned else problem)
            self._returned.discard(tag)

    async def _on_return_frame(self, frame: Basic.Return) -> None:
        # The confirm of a message that fitted no queue follows (RabbitMQ documentation, "When Will
        # Published Messages Be Confirmed by the Broker?").
        header = await self._get_frame()
        if not isinstance(header, ContentHeader):
            raise ValueError("a returned message without a header")
        await self._read_content(frame, header)
        for tag, one in self.unconfirmed.items():
            if one.properties.message_id == header.properties.message_id:
                self._returned.add(tag)


class Publisher:
    """Publishes each message until the broker has confirmed it, on one channel.

    A publish that is refused, returned or not confirmed in `timeout_seconds` has an unknown
    outcome, so it is tried again while the channel lives; a duplicate is harmless, a loss is not.
    While the broker has blocked the connection (`is_blocked`) nothing is sent again, however long
    that lasts: what was written lies in the line, and is taken in when the alarm ends. `trouble`
    says what is wrong meanwhile.
    """

    def __init__(
        self,
        channel: ConfirmChannel,
        timeout_seconds: float,
        is_blocked: Callable[[], bool] = lambda: False,
    ) -> None:
        self.trouble = ""
        self._is_blocked = is_blocked
        self._was_blocked = False
        self._failing: set[Publish] = set()
        self._channel = channel
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._watching: asyncio.TimerHandle | None = None
        channel.answered = self._answered

    def publish(self, one: Publish) -> None:
        """Send `one`; what its `then` is for never happens when the channel ends before."""
        if self._channel.is_closed:
            return
        one.give_up_at = self._loop.time() + self._timeout_seconds
        self._channel.publish(one)
        self._watch_later()

    def _answered(self, one: Publish, problem: str) -> None:
        if not problem:
            self._failing.discard(one)
            if not self._failing and not self._was_blocked:
                self.trouble = ""
            one.then()
            return
        self._failing.add(one)
        self.trouble = f"publishing to {one.exchange or 'a queue'}: {problem}"
        log.warning("publish.unconfirmed", exchange=one.exchange, error=problem)
        self._loop.call_later(one.pause, self.publish, one)
        one.pause = min(one.pause * 2, _LONGEST_PAUSE_SECONDS)

    def _watch_later(self) -> None:
        if self._watching is None:
            seconds = min(self._timeout_seconds, _LOOK_SECONDS)
            self._watching = self._loop.call_later(seconds, self._watch)

    def _watch(self) -> None:
        """Give up what has waited too long, and look again while anything waits."""
        self._watching = None
        if self._channel.is_closed:
            return
        now = self._loop.time()
        unconfirmed = self._channel.unconfirmed
        was_blocked = self._was_blocked
        if self._look_for_an_alarm() or was_blocked:
            # What was written in an alarm lies in the line, and is taken in only after it.
            for one in unconfirmed.values():
                one.give_up_at = now + self._timeout_seconds
        for tag, one in list(unconfirmed.items()):
            if one.give_up_at > now:
                break
            del unconfirmed[tag]
            self._answered(one, "not confirmed in time")
        if unconfirmed or self._was_blocked:
            self._watch_later()

    def _look_for_an_alarm(self) -> bool:
        is_blocked = self._is_blocked()
        if is_blocked and not self._was_blocked:
            self.trouble = "the broker takes no messages: it has an alarm of memory or disk"
            log.error("publish.blocked", detail=self.trouble)
        elif self._was_blocked and not is_blocked:
            self.trouble = "publishing failed before the alarm" if self._failing else ""
            log.info("publish.unblocked")
        self._was_blocked = is_blocked
        return is_blocked

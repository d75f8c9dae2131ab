"""One consumer on a channel of its own: hands messages to its intake, and refuses what can't be."""

from __future__ import annotations

from typing import Protocol

import structlog
from aio_pika.abc import AbstractConnection

from worker.broker.acknowledging import Acknowledging, Counting
from worker.broker.message import Incoming
from worker.broker.session_life import SessionLife
from worker.wire.channels import TIMEOUT_SECONDS, ConsumerChannel, open_channel
from worker.wire.frame_splitter import FrameSplitter

log = structlog.get_logger(__name__)


class Receiver(Counting, Protocol):
    """The intake of a consumer."""

    @property
    def most_body_bytes(self) -> int:
        """The size of a body above which a message is refused unread."""
        ...

    def receive(self, message: Incoming) -> None:
        """A message has come by the consumer."""
        ...

    def heard(self) -> None:
        """The broker has sent something: it and the connection are alive."""
        ...


class Consumer:
    """Gives messages to `receiver`, at most its prefetch of them unacknowledged."""

    def __init__(self, receiver: Receiver, life: SessionLife) -> None:
        self._receiver = receiver
        self._life = life

    async def start(self, connection: AbstractConnection, splitter: FrameSplitter) -> None:
        """Start consuming the queue of the intake. Raises what the broker answers."""
        receiver = self._receiver
        queue = receiver.queue
        self._splitter = splitter
        self._channel = channel = await open_channel(connection, ConsumerChannel)
        self._acknowledging = Acknowledging(channel, receiver, self._life)
        splitter.listen(
            channel.number,
            self._on_message,
            self._on_refused,
            receiver.heard,
            receiver.most_body_bytes,
        )
        self._life.end_with(channel, queue)
        await channel.basic_qos(prefetch_count=receiver.prefetch, timeout=TIMEOUT_SECONDS)
        channel.on_cancelled(
            lambda: self._life.end(f"the broker cancelled the consumer of {queue}")
        )
        self._tag = await channel.consume(queue)

    async def cancel(self) -> None:
        """Ask the broker for no more messages of the queue. Raises what the broker answers."""
        await self._channel.basic_cancel(self._tag)

    async def close(self) -> None:
        """Send acknowledgements that are owed, and close the channel, which the broker answers
        after taking them in.
        """
        self._life.release(self._channel)
        await self._acknowledging.close()
        self._splitter.stop_listening(self._channel.number)  # while nobody else can have it
        await self._channel.close()

    def _on_message(self, tag: int, content_header: bytes, body: bytes) -> None:
        if self._life.is_draining or self._life.lost.is_set():
            return
        message = None
        try:
            message = Incoming(tag, content_header, body, self._acknowledging)
            self._receiver.receive(message)
        except Exception as error:  # whatever it is, it concerns this message alone
            log.exception("message.not_handled", error=type(error).__name__)
            if message is None:
                self._receiver.heard()
                self._acknowledging.reject(tag)
            elif message.abandon():
                self._acknowledging.reject(tag)
                self._receiver.note_record()  # of what is refused there is none
                self._receiver.message_done()

    def _on_refused(self, tag: int, body_bytes: int, _: bytes) -> None:
        """A message can't be handled; mostly it is too large to be read at all."""
        if not self._life.is_draining and not self._life.lost.is_set():
            log.warning("message.refused", queue=self._receiver.queue, body_bytes=body_bytes)
            self._receiver.heard()
            self._acknowledging.reject(tag)

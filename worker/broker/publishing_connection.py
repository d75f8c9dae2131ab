"""The connection that publishes, with its one channel: opened, watched and let go of as one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aio_pika.abc import AbstractConnection

from worker.broker.size_bound import SizeRefusal, size_refusal_in
from worker.redaction import redact
from worker.wire.channels import on_closed, open_channel, why_closed
from worker.wire.confirms import GATHER_SECONDS, ConfirmChannel
from worker.wire.connecting import (
    CLOSE_TIMEOUT_SECONDS,
    AMQPError,
    BrokerAddress,
    ChannelAccessRefused,
    at_most,
    connect,
    told_as_lost,
)
from worker.wire.message_tap import TappedTransport

OPEN_TIMEOUT_SECONDS: Final = 8.0
_REASON_CHARACTERS: Final = 100

Declare = Callable[[AbstractConnection], Awaitable[None]]


class PublishingConnection:
    """One connection that publishes for a `purpose`, and its channel. `declare` declares what it
    publishes to. `alarm` says why the broker takes nothing of it now; it is "" otherwise.
    """

    channel: ConfirmChannel

    def __init__(
        self,
        address: BrokerAddress,
        declare: Declare,
        purpose: str = "publishing",
        gather_seconds: float = GATHER_SECONDS,
    ) -> None:
        self._address = address
        self._declare = declare
        self._purpose = purpose
        self._gather_seconds = gather_seconds
        self._transport = TappedTransport(self._on_alarm)
        self._connection: AbstractConnection | None = None
        self.alarm = ""
        self.alarm_changed: Callable[[], None] = lambda: None

    async def open(self, lost: Callable[[PublishingConnection], None]) -> None:
        """Open the connection that publishes, and declare, since something may have been deleted
        meanwhile. `lost` is called when the channel or the connection ends. Raises what the broker
        answers.
        """
        self._connection = await connect(self._address, self._purpose, self._transport)
        await self._declare(self._connection)
        self.channel = await open_channel(self._connection, ConfirmChannel, confirms=True)
        self.channel.gather_seconds = self._gather_seconds
        on_closed(self.channel, lambda: lost(self))
        self._connection.close_callbacks.add(lambda *_: lost(self), weak=False)

    @property
    def why_lost(self) -> str:
        """Why the connection was lost, by what RabbitMQ answers: it names the right that is missing
        and the bound that is exceeded.
        """
        error = why_closed(self.channel)
        if isinstance(error, ChannelAccessRefused):
            return f"RabbitMQ refuses this user: {redact(str(error))}"
        if (refusal := self.size_refusal) is not None:
            return (
                f"a message of {refusal.body_bytes} bytes is above RabbitMQ's max_message_size of "
                f"{refusal.most_bytes}"
            )
        return "the connection was closed"

    @property
    def size_refusal(self) -> SizeRefusal | None:
        """The sizes, if the connection was lost for a message that is too large for the broker."""
        error = why_closed(self.channel)
        return size_refusal_in(str(error)) if isinstance(error, AMQPError) else None

    async def close(self) -> None:
        """Say goodbye if the broker listens, and cut the connection if it doesn't."""
        try:
            if self._connection is not None:
                await at_most(CLOSE_TIMEOUT_SECONDS, self._connection.close())
        finally:
            self._transport.abort()

    def _on_alarm(self, reason: str) -> None:
        self.alarm = reason
        self.alarm_changed()


class Connections:
    """Opens and closes publishing connections that `new_connection` makes, in bounded time."""

    def __init__(self, new_connection: Callable[[], PublishingConnection]) -> None:
        self._new = new_connection
        self._closings: set[asyncio.Task[None]] = set()

    async def opened(self, lost: Callable[[PublishingConnection], None]) -> PublishingConnection:
        """A new publishing connection, open. Raises what the broker answers, and TimeoutError."""
        connection = self._new()
        opening = asyncio.ensure_future(connection.open(lost))
        try:
            if not await at_most(OPEN_TIMEOUT_SECONDS, opening):
                raise TimeoutError
            with told_as_lost():
                opening.result()
        except BaseException:
            opening.cancel()
            self.close_soon(connection)
            raise
        return connection

    def close_soon(self, connection: PublishingConnection) -> None:
        """Close a publishing connection in a task of its own."""
        task = asyncio.create_task(connection.close())
        self._closings.add(task)
        task.add_done_callback(self._closings.discard)

    async def all_closed(self) -> None:
        """Wait for publishing connections that are being closed."""
        if self._closings:
            await asyncio.wait(self._closings)


def of_alarm(reason: str) -> str:
    """What the broker's `reason` for taking nothing comes to, for the log and the readiness."""
    shown = "".join(one if one.isprintable() else " " for one in reason[:_REASON_CHARACTERS])
    return f"the broker takes no messages: {shown}"

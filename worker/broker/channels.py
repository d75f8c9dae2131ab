"""Channels of aiormq with its methods for single frames in our own hands; see who derives from it.

aiormq reads a channel's frames in one task and asks a method for each kind. Ours do the same work
without a task, a lock or a future for each message.
"""

from __future__ import annotations

from typing import TypeVar

from aio_pika.abc import AbstractConnection
from aiormq import Channel
from aiormq.exceptions import AMQPError, PublishError
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

TIMEOUT_SECONDS = 5.0


def tells_of_the_line(error: Exception) -> bool:
    """Whether `error` is the broker's or the line's, and no mistake of ours.

    aiormq gives a bare `Exception` to what is under way when a connection ends between two frames.
    """
    return type(error) is Exception or isinstance(
        error, (AMQPError, PublishError, TimeoutError, OSError, RuntimeError)
    )


class ContentChannel(Channel):
    """Made by `open_channel`."""

    async def read_content(self) -> tuple[ContentHeader, bytes]:
        """The header and the body that follow the frame of a message."""
        header = await self._get_frame()
        if not isinstance(header, ContentHeader):
            raise ValueError("a message without a header")
        size = header.body_size or 0
        body = b""
        while len(body) < size:
            part = await self._get_frame()
            if not isinstance(part, ContentBody):
                raise ValueError("a message without its body")
            body = body + part.value if body else part.value
        return header, body


Kind = TypeVar("Kind", bound=ContentChannel)


async def open_channel(
    connection: AbstractConnection, kind: type[Kind], *, confirms: bool = False
) -> Kind:
    """A new channel on the line of `connection`. Raises what the broker answers."""
    transport = connection.transport
    if transport is None:
        raise ConnectionError("the connection is closed")
    line = transport.connection
    # As aiormq itself finds a number; nothing is awaited before it is taken.
    number = max(line.channels, default=0) + 1
    channel = kind(line, number, publisher_confirms=confirms)
    line.channels[number] = channel
    await channel.open(timeout=TIMEOUT_SECONDS)
    return channel

"""What goes wrong on a connection or a channel, by the names that the other rooms may know."""

from __future__ import annotations

from aiormq.exceptions import (
    AMQPError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelLockedResource,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    DeliveryError,
    PublishError,
)

__all__ = (
    "AMQPError",
    "ChannelAccessRefused",
    "ChannelInvalidStateError",
    "ChannelLockedResource",
    "ChannelNotFoundEntity",
    "ChannelPreconditionFailed",
    "DeliveryError",
    "PublishError",
    "is_connection_error",
)


def is_connection_error(error: Exception) -> bool:
    """Whether `error` is the broker's or the connection's, and no mistake of ours.

    aiormq gives a bare `Exception` to what is under way when a connection ends between two frames.
    """
    return type(error) is Exception or isinstance(
        error, (AMQPError, PublishError, TimeoutError, OSError, RuntimeError)
    )

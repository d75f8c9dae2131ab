"""Opens and closes plain connections with RabbitMQ, which may stall at any moment, and says in
words of ours what goes wrong there.

What the libraries say may quote the address with its password, and names classes that an operator
need not know.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socket import gaierror
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractConnection, ConnectionParameter
from aiormq.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelLockedResource,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ConnectionNotAllowed,
    DeliveryError,
    IncompatibleProtocolError,
    InvalidFrameError,
    ProbableAuthenticationError,
    PublishError,
)
from pydantic import SecretStr
from yarl import URL

from worker.redaction import redact
from worker.wire.message_tap import TappedTransport
from worker.wire.private_parts import check_private_parts

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


class NoGreeting(TimeoutError):
    """Nothing answered when a connection was opened."""


_NO_VIRTUAL_HOST: Final = "the virtual host is not there, or is closed to this user"
_WRONG_CREDENTIALS: Final = "RabbitMQ refuses the user or the password"
_AT_THE_OPENING: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (ProbableAuthenticationError, _WRONG_CREDENTIALS),
    (AuthenticationError, _WRONG_CREDENTIALS),
    (ConnectionNotAllowed, _NO_VIRTUAL_HOST),
    (
        IncompatibleProtocolError,
        "what answers there does not speak AMQP 0-9-1; it may be another port's",
    ),
    (ssl.SSLCertVerificationError, "the certificate is not trusted, or is another host's"),
    (ssl.SSLError, "TLS fails; the port may be one without it"),
    (gaierror, "the name of the host is not known"),
    (ConnectionRefusedError, "nothing listens at this host and port"),
    (
        NoGreeting,
        "there was no answer in time; what listens there may not speak AMQP, as at another "
        "service's port",
    ),
)
"""What ends the opening of a connection, and nothing later. The narrower ones first."""
_KNOWN: Final[tuple[tuple[type[BaseException], str], ...]] = (
    *_AT_THE_OPENING,
    (ChannelAccessRefused, "this user lacks a right that a worker needs"),
    (TimeoutError, "there was no answer in time"),
)


def why_unreachable(error: BaseException) -> str:
    """Why there is no connection, in words such as "nothing listens at this host and port"."""
    if isinstance(error, InvalidFrameError) and "Close" in str(error):
        return _NO_VIRTUAL_HOST  # where aiormq expects no refusal
    for kind, text in _KNOWN:
        if _is_or_is_from(error, kind):
            refusal = error if isinstance(error, ChannelAccessRefused) else error.__cause__
            is_named = isinstance(refusal, ChannelAccessRefused) and kind is ChannelAccessRefused
            return f"{text}: {redact(str(refusal))}" if is_named else text
    return f"the connection ended ({type(error).__name__})"


def was_not_opened(error: BaseException) -> bool:
    """Whether `error` tells that there was no connection yet, and not that one was lost."""
    return any(_is_or_is_from(error, kind) for kind, _ in _AT_THE_OPENING)


def _is_or_is_from(error: BaseException, kind: type[BaseException]) -> bool:
    # aiormq puts its own around the system's.
    return isinstance(error, kind) or isinstance(error.__cause__, kind)


CONNECT_TIMEOUT_SECONDS: Final = 5.0
CLOSE_TIMEOUT_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where RabbitMQ is, and how often each side shows that it lives; a heartbeat in the query of
    `url` goes before `heartbeat_seconds`.
    """

    url: SecretStr
    heartbeat_seconds: int


async def at_most(seconds: float, work: Awaitable[Any]) -> bool:
    """Whether `work` with the broker ended within `seconds`; if not, it is cancelled and not waited
    for.

    On a connection that stalls, aiormq answers a cancellation by closing its channel and waits for
    the broker's consent to that, so a plain timeout would hang with it.
    """
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait({task}, timeout=seconds)
    if task.done():
        return True
    task.cancel()
    return False


@contextmanager
def told_as_lost() -> Iterator[None]:
    """Within the block it is a lost connection that aiormq cancels what waits for an answer on one,
    and an order to end is one all the same.
    """
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectionResetError("the connection was lost") from None


class _Connection(aio_pika.Connection):
    """aio-pika hands on to aiormq what is listed here."""

    PARAMETERS = (
        *aio_pika.Connection.PARAMETERS,
        ConnectionParameter("transport_factory", parser=lambda given: given, is_kwarg=True),
    )


async def connect(
    address: BrokerAddress, purpose: str, transport: TappedTransport | None = None
) -> AbstractConnection:
    """A plain connection with RabbitMQ that does not restore itself, named after its purpose;
    `transport` taps it, if given. Raises `UnsupportedLibrary`, and what the broker answers.
    """
    check_private_parts()
    url = URL(address.url.get_secret_value())
    if "heartbeat" not in url.query:
        url = url.update_query(heartbeat=address.heartbeat_seconds)
    connection = _Connection(
        url,
        client_properties={"connection_name": f"consent-worker {purpose}"},
        transport_factory=transport,
    )
    try:
        await connection.connect(timeout=CONNECT_TIMEOUT_SECONDS)
    except TimeoutError:
        raise NoGreeting from None
    except StopAsyncIteration:
        # aiormq's word for a connection that has ended when it begins to read: something answers in
        # place of a broker that is away, such as a load balancer.
        raise ConnectionResetError("the connection ended before the broker spoke") from None
    return connection

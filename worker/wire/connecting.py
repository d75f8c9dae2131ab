"""Opens and closes plain connections with RabbitMQ, which may stall at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractConnection, ConnectionParameter
from pydantic import SecretStr
from yarl import URL

from worker.wire.message_tap import TappedTransport
from worker.wire.private_parts import check_private_parts

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
    """Whether `work` ended within `seconds`; if not, it is cancelled and not waited for.

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


class _Connection(aio_pika.Connection):
    """aio-pika hands on to aiormq what is listed here."""

    PARAMETERS = (
        *aio_pika.Connection.PARAMETERS,
        ConnectionParameter("transport_factory", parser=lambda given: given, is_kwarg=True),
    )


async def connect(
    address: BrokerAddress, purpose: str, transport: TappedTransport | None = None
) -> AbstractConnection:
    """A plain connection that does not restore itself, named after its purpose; `transport` taps
    it, if given. Raises `UnsupportedLibrary`, and what the broker answers.
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
    except StopAsyncIteration:
        # aiormq's word for a connection that has ended when it begins to read: something answers in
        # place of a broker that is away, such as a load balancer.
        raise ConnectionResetError("the connection ended before the broker spoke") from None
    return connection

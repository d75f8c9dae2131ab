"""Opening and closing plain connections with RabbitMQ, whose line may stall at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractConnection, ConnectionParameter
from aiormq.connection import TransportFactory
from yarl import URL

from worker.settings import WorkerSettings
from worker.wire.properties import accept_any_properties

CONNECT_TIMEOUT_SECONDS: Final = 5.0
CLOSE_TIMEOUT_SECONDS: Final = 2.0


async def at_most(seconds: float, work: Awaitable[Any]) -> bool:
    """Whether `work` ended within `seconds`; if not, it is cancelled and not waited for.

    On a line that stalls, aiormq answers a cancellation by closing its channel and waits for the
    broker's consent to that, so a plain timeout would hang with it.
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
    settings: WorkerSettings, purpose: str, lines: TransportFactory | None = None
) -> AbstractConnection:
    """A plain connection (not one that restores itself: see `Session`), named after its purpose;
    its line is opened by `lines`, if given.
    """
    accept_any_properties()
    url = URL(settings.amqp_url.get_secret_value())
    if "heartbeat" not in url.query:
        url = url.update_query(heartbeat=settings.heartbeat_seconds)
    connection = _Connection(
        url,
        client_properties={"connection_name": f"consent-worker {purpose}"},
        transport_factory=lines,
    )
    try:
        await connection.connect(timeout=CONNECT_TIMEOUT_SECONDS)
    except StopAsyncIteration:
        # aiormq's word for a line that has ended when it begins to read: something answers in
        # place of a broker that is away, such as a load balancer.
        raise ConnectionResetError("the line ended before the broker spoke") from None
    return connection

"""What commands and the console need of the broker: a connection, the topology, and the lock of the
dead letters.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final

from aio_pika.abc import AbstractConnection

from worker.broker.queue_locks import acquire_lock, release_lock
from worker.broker.session_settings import address_of
from worker.broker.topology import Topology, build_topology
from worker.errors import ServerTrouble
from worker.interrupt import Stop
from worker.redaction import redact
from worker.settings import WorkerSettings
from worker.wire.connecting import (
    CLOSE_TIMEOUT_SECONDS,
    AMQPError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    DeliveryError,
    at_most,
    connect,
    was_not_opened,
    why_unreachable,
)
from worker.wire.message_tap import TappedTransport

# A command may be short of processor time, and the broker notices its death by the connection.
_HEARTBEAT_SECONDS: Final = 30
_TRIES: Final = 3


class BrokerAway(ServerTrouble):
    """The broker can't be reached, was lost, or does not do what is asked of it."""


@asynccontextmanager
async def broker_connection(
    settings: WorkerSettings,
    purpose: str,
    so_far: Callable[[], str] = lambda: "",
    transport: TappedTransport | None = None,
) -> AsyncIterator[AbstractConnection]:
    """A connection for a command, tapped by `transport` if there is one.

    Raises `BrokerAway` for what goes wrong with it, before or during the block, without address
    or credentials; `so_far` tells what the command had done by then.
    """
    connection = await _connect(settings, purpose, transport)
    try:
        yield connection
    except BrokenPipeError:
        raise  # standard output, not the broker
    except asyncio.CancelledError:
        # aiormq cancels what waits for an answer when its connection is lost.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        lost = what_happened(ConnectionError())
        raise BrokerAway("; ".join(filter(None, (lost, so_far())))) from None
    except (AMQPError, ChannelInvalidStateError, ConnectionError, TimeoutError) as error:
        raise BrokerAway("; ".join(filter(None, (what_happened(error), so_far())))) from None
    except RuntimeError:  # aio-pika's word to who opens a channel of a connection that has ended
        if not connection.is_closed:
            raise
        lost = what_happened(ConnectionError())
        raise BrokerAway("; ".join(filter(None, (lost, so_far())))) from None
    finally:
        await at_most(CLOSE_TIMEOUT_SECONDS, connection.close())


async def _connect(
    settings: WorkerSettings, purpose: str, transport: TappedTransport | None
) -> AbstractConnection:
    address = address_of(settings)
    patient = replace(address, heartbeat_seconds=max(address.heartbeat_seconds, _HEARTBEAT_SECONDS))
    tries_left = _TRIES
    while True:
        tries_left -= 1
        try:
            return await connect(patient, purpose, transport)
        except (AMQPError, OSError) as error:
            # A broker that is busy answers late; one that is away refuses at once.
            if not isinstance(error, TimeoutError) or not tries_left:
                raise BrokerAway(_not_opened(error)) from None


def _not_opened(error: BaseException) -> str:
    return f"no connection to RabbitMQ: {why_unreachable(error)}; check CONSENT_WORKER_AMQP_URL"


def what_happened(error: Exception) -> str:
    """What went wrong with the broker, as a sentence without address or credentials."""
    match error:
        case ChannelAccessRefused():
            return f"RabbitMQ refuses this user: {redact(str(error))}"
        case ChannelNotFoundEntity():
            return (
                f"{redact(str(error))}; run `consent-worker topology declare`, or check "
                "CONSENT_WORKER_NAMESPACE"
            )
        case DeliveryError():
            return f"RabbitMQ did not take a message ({type(error).__name__})"
        case TimeoutError():
            return "RabbitMQ did not answer in time"
        case _:
            if was_not_opened(error):
                return _not_opened(error)
            return f"the connection to RabbitMQ was lost ({type(error).__name__})"


def topology_of(settings: WorkerSettings) -> Topology:
    """The topology that the settings ask for."""
    return build_topology(
        settings.namespace, settings.delay, settings.delivery_limit, settings.event_queues
    )


_ASK_AGAIN_SECONDS: Final = 0.25
_TELL_AFTER_TRIES: Final = 2
"""The broker needs a moment to notice that a command was killed, which is worth no word."""


@asynccontextmanager
async def alone(
    connection: AbstractConnection,
    lock: str,
    stop: Stop,
    tell: Callable[[str], None],
    at: str = "the dead letters",
) -> AsyncIterator[None]:
    """The block runs while nobody else holds `lock`; until then it waits, and tells so once.

    A user of the broker without the right to configure the lock works without one, which is told.
    Raises `Interrupted` when asked to stop while it waits.
    """
    is_held = await _wait_for(connection, lock, stop, tell, at)
    yield
    if is_held:
        # Before the connection ends, so that the next command need not wait.
        await release_lock(connection, lock)


async def _wait_for(
    connection: AbstractConnection, lock: str, stop: Stop, tell: Callable[[str], None], at: str
) -> bool:
    """Whether the lock is held; False where this user may not."""
    tries = 0
    try:
        while not await acquire_lock(connection, lock):
            tries += 1
            if tries == _TELL_AFTER_TRIES:
                tell(f"another command works on {at}; waiting until it ends")
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.asked.wait(), _ASK_AGAIN_SECONDS)
            stop.check("another command was at work, and nothing was done")
    except ChannelAccessRefused:
        tell(
            f"RabbitMQ does not let this user configure {lock}: what another command holds of {at} "
            "at the same time is not seen by this one"
        )
        return False
    return True

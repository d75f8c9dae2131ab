"""What several commands need: settings, a broker connection, the lock of the dead letters, the
state ids, input and output.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
from aio_pika.abc import AbstractConnection

from worker.broker.queue_locks import acquire_lock, release_lock
from worker.broker.session_settings import address_of
from worker.broker.topology import Topology, build_topology
from worker.cli.interrupt import Stop
from worker.cli.terminal import json_shown
from worker.errors import ServerTrouble
from worker.integrations.integration_registry import IntegrationRegistry
from worker.ordering.state_takeover import look_up
from worker.redaction import redact
from worker.settings import (
    WorkerSettings,
    judge_environment,
    old_names_in_use,
    unknown_in_use,
)
from worker.store_choice import LastingStore
from worker.wire.connecting import (
    CLOSE_TIMEOUT_SECONDS,
    AMQPError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    DeliveryError,
    at_most,
    connect,
    why_unreachable,
)

# A command may be short of processor time, and the broker notices its death by the connection.
_HEARTBEAT_SECONDS: Final = 30
_TRIES: Final = 3


class BrokerAway(ServerTrouble):
    """The broker can't be reached, was lost, or does not do what is asked of it."""


@asynccontextmanager
async def broker_connection(
    settings: WorkerSettings, purpose: str, so_far: Callable[[], str] = lambda: ""
) -> AsyncIterator[AbstractConnection]:
    """A connection for a command.

    Raises `BrokerAway` for what goes wrong with it, before or during the block, without address
    or credentials; `so_far` tells what the command had done by then.
    """
    connection = await _connect(settings, purpose)
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
    finally:
        await at_most(CLOSE_TIMEOUT_SECONDS, connection.close())


async def _connect(settings: WorkerSettings, purpose: str) -> AbstractConnection:
    address = address_of(settings)
    patient = replace(address, heartbeat_seconds=max(address.heartbeat_seconds, _HEARTBEAT_SECONDS))
    tries_left = _TRIES
    while True:
        tries_left -= 1
        try:
            return await connect(patient, purpose)
        except (AMQPError, OSError) as error:
            # A broker that is busy answers late; one that is away refuses at once.
            if not isinstance(error, TimeoutError) or not tries_left:
                raise BrokerAway(
                    f"no connection to RabbitMQ: {why_unreachable(error)}; "
                    "check CONSENT_WORKER_AMQP_URL"
                ) from None


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
            return f"the connection to RabbitMQ was lost ({type(error).__name__})"


def command_settings() -> WorkerSettings:
    """The settings of a command, which names on standard error what is none of them, or is
    called otherwise now."""
    settings = WorkerSettings()
    for sentence in old_names_in_use() + unknown_in_use(judge_environment()):
        complain(sentence)
    return settings


def topology_of(settings: WorkerSettings) -> Topology:
    """The topology that the settings ask for."""
    return build_topology(settings.namespace, settings.delay, settings.delivery_limit)


def read_input(source: str) -> bytes:
    """The bytes of a file, or of standard input for `-`. Raises OSError."""
    return sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()


def print_json(document: Any) -> None:
    """One JSON document on standard output, indented."""
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
    sys.stdout.write(json_shown(text) + "\n")


def say(text: str) -> None:
    """A line for the person at the terminal, on standard output."""
    sys.stdout.write(text + "\n")


def complain(text: str) -> None:
    """A line for the person at the terminal, on standard error."""
    sys.stderr.write(text + "\n")


_ASK_AGAIN_SECONDS: Final = 0.25
_TELL_AFTER_TRIES: Final = 2
"""The broker needs a moment to notice that a command was killed, which is worth no word."""


@asynccontextmanager
async def alone(connection: AbstractConnection, lock: str, stop: Stop) -> AsyncIterator[None]:
    """The block runs while no other command holds `lock`; until then it waits, and says so once.

    A user of the broker without the right to configure the lock works without one, and is told.
    Raises `Interrupted` when asked to stop while it waits.
    """
    is_held = await _wait_for(connection, lock, stop)
    yield
    if is_held:
        # Before the connection ends, so that the next command need not wait.
        await release_lock(connection, lock)


async def _wait_for(connection: AbstractConnection, lock: str, stop: Stop) -> bool:
    """Whether the lock is held; False where this user may not."""
    tries = 0
    try:
        while not await acquire_lock(connection, lock):
            tries += 1
            if tries == _TELL_AFTER_TRIES:
                complain("another command works on the dead letters; waiting until it ends")
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.asked.wait(), _ASK_AGAIN_SECONDS)
            stop.check("another command was at work, and nothing was done")
    except ChannelAccessRefused:
        complain(
            f"RabbitMQ does not let this user configure {lock}: dead letters that another command "
            "holds at the same time are not seen by this one"
        )
        return False
    return True


async def learn_state_ids(registry: IntegrationRegistry, store: LastingStore) -> None:
    """Have the integrations of `registry`, which is loaded, know it. Raises `StoreUnavailable`."""
    registry.ask_states = partial(look_up, store.state_ids)
    await registry.settle()

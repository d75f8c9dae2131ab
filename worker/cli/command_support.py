"""What several commands need: settings, a broker connection, input, output."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson
from aio_pika.abc import AbstractConnection

from worker.broker.session_settings import address_of
from worker.broker.topology import Topology, build_topology
from worker.cli.terminal import json_shown
from worker.errors import ServerTrouble
from worker.redaction import redact
from worker.settings import (
    WorkerSettings,
    judge_environment,
    old_names_in_use,
    unknown_in_use,
)
from worker.wire.connecting import CLOSE_TIMEOUT_SECONDS, at_most, connect
from worker.wire.connection_errors import (
    AMQPError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    DeliveryError,
)
from worker.wire.unreachable import why_unreachable

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

"""What of a topology is on the broker, and how it differs: asked without changing anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from aio_pika.abc import AbstractConnection

from worker.broker.declare_refusals import TopologyConflict
from worker.broker.topology import Exchange, Queue, Topology, declare_exchange, declare_queue
from worker.settings import MOST_EVENT_QUEUES
from worker.wire.connecting import ChannelNotFoundEntity

ASIDE: Final = ".migrating"
"""Ends the name of the queue that has the messages of another one while that is made anew."""


@dataclass(frozen=True, slots=True)
class Found:
    """An exchange or a queue: `missing`, as it is `wanted`, or with `other` arguments, of which
    `detail` tells. A queue has `messages` that nobody holds, and `consumers`.
    """

    kind: Literal["exchange", "queue"]
    name: str
    state: Literal["missing", "wanted", "other"]
    detail: str = ""
    messages: int = 0
    consumers: int = 0


@dataclass(frozen=True, slots=True)
class TopologyState:
    """What of a topology is on the broker. `aside` are the names of queues whose messages an
    interrupted migration has put aside; `dropped` are queues that are to be gone, and what was put
    aside of these.
    """

    exchanges: Sequence[Found]
    queues: Sequence[Found]
    aside: frozenset[str] = frozenset()
    dropped: Sequence[Found] = ()


async def read_state(
    connection: AbstractConnection, topology: Topology, dropped: Sequence[str] = ()
) -> TopologyState:
    """How a topology is on the broker. Raises what the broker answers, but for what is missing or
    has other arguments.
    """
    exchanges = [await _exchange(connection, one) for one in topology.exchanges]
    queues = [await find_queue(connection, one) for one in topology.queues]
    aside = [
        one.name
        for one in topology.queues
        if (await find_queue(connection, Queue(one.name + ASIDE))).state != "missing"
    ]
    both = [name for one in dropped for name in (one, one + ASIDE)]
    gone = [await find_queue(connection, Queue(one)) for one in both]
    return TopologyState(exchanges, queues, frozenset(aside), gone)


async def read_unlisted(connection: AbstractConnection, topology: Topology) -> list[Found]:
    """Event queues that are there and that the list does not name, and what was put aside of such.
    Nobody can ask which queues there are, so this finds those with numbers, from events.1 on.
    Raises what the broker answers.
    """
    names = topology.names
    numbered = [f"{names.events}.{number}" for number in range(1, MOST_EVENT_QUEUES + 1)]
    unlisted = [one for one in numbered if one not in names.event_queues]
    both = [name for one in unlisted for name in (one, one + ASIDE)]
    found = [await find_queue(connection, Queue(one)) for one in both]
    return [one for one in found if one.state != "missing"]


async def has_exchange(connection: AbstractConnection, name: str) -> bool:
    """Whether an exchange is there, however it is."""
    channel = await connection.channel(publisher_confirms=False)
    try:
        await channel.declare_exchange(name, passive=True)
    except ChannelNotFoundEntity:
        return False
    finally:
        if not channel.is_closed:
            await channel.close()
    return True


async def _exchange(connection: AbstractConnection, wanted: Exchange) -> Found:
    channel = await connection.channel(publisher_confirms=False)
    try:
        await channel.declare_exchange(wanted.name, passive=True)
        # It is there, so this changes nothing: it is as it is wanted, or refused.
        await declare_exchange(channel, wanted)
    except ChannelNotFoundEntity:
        return Found("exchange", wanted.name, "missing")
    except TopologyConflict as conflict:
        return Found("exchange", wanted.name, "other", conflict.reason)
    finally:
        if not channel.is_closed:
            await channel.close()
    return Found("exchange", wanted.name, "wanted")


async def find_queue(connection: AbstractConnection, wanted: Queue) -> Found:
    """How a queue is on the broker."""
    channel = await connection.channel(publisher_confirms=False)
    messages = consumers = 0
    try:
        there = await channel.declare_queue(wanted.name, passive=True)
        messages = there.declaration_result.message_count or 0
        consumers = there.declaration_result.consumer_count or 0
        if wanted.arguments:
            await declare_queue(channel, wanted)
    except ChannelNotFoundEntity:
        return Found("queue", wanted.name, "missing")
    except TopologyConflict as conflict:
        return Found("queue", wanted.name, "other", conflict.reason, messages, consumers)
    finally:
        if not channel.is_closed:
            await channel.close()
    return Found("queue", wanted.name, "wanted", "", messages, consumers)

"""The topology as a producer needs it: there, by whomever it was declared."""

from __future__ import annotations

from aio_pika.abc import AbstractConnection

from worker.broker.topology import Topology, declare
from worker.wire.connecting import ChannelNotFoundEntity


async def ensure(connection: AbstractConnection, topology: Topology) -> None:
    """Declare all of a topology where there is nothing yet; a mere producer may not be allowed to.
    Raises as `declare` does.
    """
    names = topology.names
    probe = await connection.channel()
    try:
        await probe.declare_exchange(names.events, passive=True)
        if len(names.event_queues) > 1:
            await probe.declare_exchange(names.event_exchange, passive=True)
            for one in names.event_queues:  # what is for one that is not there is a dead letter
                await probe.declare_queue(one, passive=True)
    except ChannelNotFoundEntity:
        await declare(connection, topology)
    else:
        await probe.close()

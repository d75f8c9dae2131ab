"""The topology as a producer needs it: there, by whomever it was declared."""

from __future__ import annotations

from aio_pika.abc import AbstractConnection

from worker.broker.topology import Topology, declare
from worker.wire.connecting import ChannelNotFoundEntity


async def ensure(connection: AbstractConnection, topology: Topology) -> None:
    """Declare everything where there is nothing yet; a mere producer may not be allowed to. Raises
    as `declare` does.
    """
    probe = await connection.channel()
    try:
        await probe.declare_exchange(topology.names.events, passive=True)
    except ChannelNotFoundEntity:
        await declare(connection, topology)
    else:
        await probe.close()

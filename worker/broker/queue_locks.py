"""Locks on the broker: an exclusive queue that one connection has, and no other can.

RabbitMQ deletes such a queue when its connection is gone, however it ended (documentation, "Queues:
Exclusive Queues"). Nothing is ever sent to it. It is on the node that the connection leads to, so
while a cluster is split into parts, each part may have a holder.
"""

from __future__ import annotations

from typing import Any, Final

from aio_pika.abc import AbstractConnection

from worker.broker.declare_refusals import TopologyConflict
from worker.wire.connecting import ChannelLockedResource, ChannelNotFoundEntity

TIMEOUT_SECONDS: Final = 5.0
_ARGUMENTS: Final[dict[str, Any]] = {"x-queue-type": "classic"}
"""Said, since a virtual host may have another default, and others can't be exclusive."""


async def acquire_lock(connection: AbstractConnection, name: str) -> bool:
    """Whether `connection` holds the lock `name` now. Raises `TopologyConflict` for a queue of that
    name that is nobody's lock, and what the broker answers.
    """
    channel = await connection.channel(publisher_confirms=False)
    try:
        await channel.declare_queue(
            name, durable=False, exclusive=True, arguments=_ARGUMENTS, timeout=TIMEOUT_SECONDS
        )
    except ChannelLockedResource:
        await _check_that_it_is_one(connection, name)
        return False
    await channel.close()
    return True


async def release_lock(connection: AbstractConnection, name: str) -> None:
    """Give a lock back before the connection ends."""
    channel = await connection.channel(publisher_confirms=False)
    await channel.queue_delete(name, timeout=TIMEOUT_SECONDS)
    await channel.close()


async def _check_that_it_is_one(connection: AbstractConnection, name: str) -> None:
    """A queue that is not exclusive is refused in the same words, and would be for ever."""
    channel = await connection.channel(publisher_confirms=False)
    try:
        await channel.declare_queue(name, passive=True, timeout=TIMEOUT_SECONDS)
    except (ChannelLockedResource, ChannelNotFoundEntity):  # held, or given back meanwhile
        return
    await channel.close()
    raise TopologyConflict(
        f"queue {name} is to be a lock, and exists as a plain queue; delete it, or run this under "
        "another CONSENT_WORKER_NAMESPACE"
    )

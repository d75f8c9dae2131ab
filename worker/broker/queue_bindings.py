"""Which exchanges lead to the queues of a topology, and to another queue in place of one."""

from __future__ import annotations

from aio_pika.abc import AbstractConnection

from worker.broker.topology import Binding, Topology, bind
from worker.broker.topology_state import has_exchange


class QueueBindings:
    """The bindings of queues of `topology`, and of what it was before."""

    def __init__(self, connection: AbstractConnection, topology: Topology) -> None:
        self._connection = connection
        self._names = topology.names
        self._bindings = [one for one in topology.bindings if not one.to_exchange]

    async def find_older(self) -> None:
        """Take in the binding of a list of several event queues that was in force before: its
        exchange is still there, and producers may publish to it.
        """
        names = self._names
        older = Binding(names.event_exchange, names.events, names.events)
        if older not in self._bindings and await has_exchange(self._connection, older.source):
            self._bindings.append(older)

    async def lead_to(self, queue: str, name: str) -> None:
        """Let all messages go to `queue` that are to go to queue `name`, where they go as well."""
        channel = await self._connection.channel(publisher_confirms=False)
        for one in self._of(name):
            await bind(channel, Binding(one.source, queue, one.routing_key))
        await channel.close()

    async def end(self, queue: str, name: str) -> None:
        """Let no message go to `queue` any more that is to go to queue `name`."""
        channel = await self._connection.channel(publisher_confirms=False)
        there = await channel.get_queue(queue, ensure=False)
        for one in self._of(name):
            await there.unbind(one.source, one.routing_key)
        await channel.close()

    async def end_dropped(self, queue: str, name: str) -> None:
        """Let no message go to `queue` any more that is for `name`, an event queue of no list."""
        channel = await self._connection.channel(publisher_confirms=False)
        there = await channel.get_queue(queue, ensure=False)
        await there.unbind(self._names.event_exchange, name)
        await channel.close()

    def _of(self, name: str) -> list[Binding]:
        return [one for one in self._bindings if one.destination == name]

"""Makes the topology of this version of what is on the broker, in the order in which nothing is
lost wherever it is interrupted. Run again, it goes on where it was.

A queue is made anew while its bindings lead to another one, which has its messages: a copy may be
in both for a moment, and no message in neither.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aio_pika.abc import AbstractConnection

from worker.broker.delay_emptying import DelayEmptying, NotMigrated
from worker.broker.queue_bindings import QueueBindings
from worker.broker.queue_deletion import QueueDeletion
from worker.broker.queue_moving import QueueMoving
from worker.broker.topology import (
    UNLIMITED_DELIVERIES,
    Queue,
    Topology,
    declare,
    declare_exchange,
    declare_queue,
)
from worker.broker.topology_plan import Migration, dead_letter_targets
from worker.broker.topology_state import ASIDE
from worker.counting import counted
from worker.wire.message_tap import TappedTransport

_TRIES: Final = 5
_QUIET_SECONDS: Final = 0.5
"""So long a queue gets nothing before it is deleted: what was routed before is on its way."""
_QUIET_EVENTS_SECONDS: Final = 3.0
"""The same of an event queue, to which a producer may publish past the exchanges of ours."""


class TopologyChange:
    """One migration of the topology; `told` is given a sentence for each thing that was done."""

    def __init__(
        self,
        connection: AbstractConnection,
        transport: TappedTransport,
        topology: Topology,
        told: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._topology = topology
        self._bindings = QueueBindings(connection, topology)
        self._moving = QueueMoving(connection, transport)
        self._deletion = QueueDeletion(connection, transport)
        self._told = told

    async def run(self, migration: Migration, wait_seconds: float, settle_seconds: float) -> None:
        """Do the steps of a migration. The messages of the delay may take `wait_seconds` to leave,
        and what the broker may still hand on gets `settle_seconds` before a queue is deleted.
        Raises `NotMigrated`, `LeaderAway`, and what the broker answers.
        """
        if migration.obstacles:
            raise NotMigrated("; ".join(migration.obstacles))
        await self._bindings.find_older()
        if migration.waits_for or migration.deletes_queues:
            delay = DelayEmptying(self._connection, self._deletion, migration.waits_for, self._told)
            await delay.wait(wait_seconds, settle_seconds if migration.deletes_queues else 0.0)
        await self._create_exchanges(migration.of("exchange", "create"))
        aside = migration.of("queue", "move", "finish")
        for name in migration.of("queue", "move"):
            await self._put_aside(name)
        # The longest of the delay first, as its messages go: what is in one finds the next.
        for name in reversed(migration.of("queue", "replace")):
            await self._delete(name)
        for name in migration.of("exchange", "replace"):
            await self._delete_exchange(name)
        await declare(self._connection, self._topology)
        for name in aside:
            await self._bindings.lead_to(name, name)
            await self._put_back(name)
        for name in migration.of("queue", "drop"):
            await self._drop(name)

    async def _create_exchanges(self, names: list[str]) -> None:
        """Those that queues aside are to be bound to, too."""
        channel = await self._connection.channel(publisher_confirms=False)
        for one in self._topology.exchanges:
            if one.name in names:
                await declare_exchange(channel, one)
        await channel.close()

    async def _put_aside(self, name: str) -> None:
        aside = Queue(
            name + ASIDE, {"x-queue-type": "quorum", "x-delivery-limit": UNLIMITED_DELIVERIES}
        )
        channel = await self._connection.channel(publisher_confirms=False)
        await declare_queue(channel, aside)
        await channel.close()
        await self._bindings.lead_to(aside.name, name)
        await self._bindings.end(name, name)
        await self._empty_and_delete(name, aside.name, "aside")

    async def _drop(self, name: str) -> None:
        """An event queue that no list has any more, or what was put aside of it."""
        names = self._topology.names
        await self._bindings.end_dropped(name, name.removesuffix(ASIDE))
        await self._empty_and_delete(name, names.events, f"to queue {names.events}")
        self._told(f"deleted queue {name}")

    async def _empty_and_delete(self, name: str, target: str, where: str) -> None:
        """Move all messages of a queue to another one that is there, and delete it."""
        for _ in range(_TRIES):
            moved = await self._moving.move(name, target, keeps_reasons=self._is_letters(name))
            self._told(f"moved {counted(moved, 'message')} of queue {name} {where}")
            if await self._is_deleted(name):
                return
        raise NotMigrated(
            f"queue {name} does not stay empty: somebody publishes to it by its name or by an "
            "exchange of their own, or takes from it; stop that, and run the command again"
        )

    async def _put_back(self, name: str) -> None:
        """`name` is there anew, and bound."""
        aside = name + ASIDE
        await self._bindings.end(aside, name)
        moved = await self._moving.move(aside, name, keeps_reasons=self._is_letters(name))
        self._told(f"moved {counted(moved, 'message')} back to queue {name}")
        if not await self._is_deleted(aside):
            raise NotMigrated(f"queue {aside} is not empty yet; run the command again")

    async def _delete(self, name: str) -> None:
        if not await self._is_deleted(name):
            raise NotMigrated(f"queue {name} is not empty, or has consumers; run the command again")
        self._told(f"deleted queue {name}")

    async def _is_deleted(self, name: str) -> bool:
        is_for_events = name.startswith(self._topology.names.events)
        quiet_seconds = _QUIET_EVENTS_SECONDS if is_for_events else _QUIET_SECONDS
        if not name.endswith(ASIDE):  # that has no dead letters
            for target in dead_letter_targets(self._topology, name):
                await self._deletion.check_leader(target)
                await self._deletion.check_leader(target + ASIDE)
        return await self._deletion.delete_if_empty(name, quiet_seconds)

    async def _delete_exchange(self, name: str) -> None:
        channel = await self._connection.channel(publisher_confirms=False)
        await channel.exchange_delete(name)
        await channel.close()
        self._told(f"deleted exchange {name}")

    def _is_letters(self, name: str) -> bool:
        return name == self._topology.names.dead_letters

"""The connection that publishes, with its one channel: opened, watched and let go of as one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aio_pika.abc import AbstractConnection

from worker.broker.topology import Topology, declare
from worker.settings import WorkerSettings
from worker.wire.channels import open_channel
from worker.wire.confirms import ConfirmChannel
from worker.wire.connect import CLOSE_TIMEOUT_SECONDS, at_most, connect
from worker.wire.tap import Deliveries


class PublishingLine:
    """One connection and its channel. `alarm` says why the broker takes nothing of it now; it is ""
    otherwise.
    """

    channel: ConfirmChannel

    def __init__(self, settings: WorkerSettings, topology: Topology) -> None:
        self._settings = settings
        self._topology = topology
        self._lines = Deliveries(self._hear_alarm)
        self._connection: AbstractConnection | None = None
        self.alarm = ""
        self.alarm_changed: Callable[[], None] = lambda: None

    async def open(self, lost: Callable[[PublishingLine], None]) -> None:
        """Connect, and declare the topology, of which something may have been deleted meanwhile.
        `lost` is called when the channel or the connection ends. Raises what the broker answers.
        """
        self._connection = await connect(self._settings, "publishing", self._lines)
        await declare(self._connection, self._topology)
        self.channel = await open_channel(self._connection, ConfirmChannel, confirms=True)

        def closed(closing: asyncio.Future[Any]) -> None:
            closing.cancelled() or closing.exception()  # asked for, or asyncio would complain
            lost(self)

        self.channel.closing.add_done_callback(closed)
        self._connection.close_callbacks.add(lambda *_: lost(self), weak=False)

    async def close(self) -> None:
        """Say goodbye if the broker listens, and cut the line if it doesn't."""
        try:
            if self._connection is not None:
                await at_most(CLOSE_TIMEOUT_SECONDS, self._connection.close())
        finally:
            self._lines.abort()

    def _hear_alarm(self, reason: str) -> None:
        self.alarm = reason
        self.alarm_changed()

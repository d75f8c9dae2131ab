"""The stream of the receipts, where the settings ask for it."""

from __future__ import annotations

from aio_pika.abc import AbstractConnection

from worker.broker.receipts_stream import StreamUnusable, declare_stream, stream_of
from worker.broker.topology import Queue
from worker.cli.command_support import complain
from worker.settings import WorkerSettings


def wanted_stream(settings: WorkerSettings) -> Queue | None:
    """The stream of the receipts that the settings ask for; None where none are written."""
    return None if settings.receipts == "off" else stream_of(settings)


async def declare_stream_or_complain(
    settings: WorkerSettings, connection: AbstractConnection
) -> Queue | None:
    """Declare the stream of the receipts; the stream that is there then, None for none: a worker
    goes on without it, and so does the command.
    """
    if (stream := wanted_stream(settings)) is not None:
        try:
            await declare_stream(connection, stream)
        except StreamUnusable as problem:
            complain(f"no receipts will be written: {problem}")
            return None
    return stream

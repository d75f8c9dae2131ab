"""The stream of the receipts: how it is declared, and what a broker refuses of that.

A stream is a log: what was read stays, until it is older or larger than asked for. AMQP 0-9-1 is
enough for it (RabbitMQ documentation, "Streams").
"""

from __future__ import annotations

from typing import Final

from aio_pika.abc import AbstractConnection

from worker.broker.queue_names import Names
from worker.broker.topology import Queue
from worker.errors import ServerTrouble
from worker.redaction import redact
from worker.settings import WorkerSettings
from worker.wire.connecting import (
    AMQPError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelPreconditionFailed,
)

_SEGMENT_BYTES: Final = 100_000_000
"""Retention drops whole segments, and looks when one is full: with the broker's own 500 MB a small
fleet's receipts would stay for years."""
_SEGMENTS: Final = 4
"""At least, of a stream: the one that is written is never dropped."""


class StreamUnusable(ServerTrouble):
    """The broker has no stream for receipts, and makes none; the text says why and what to do."""


def receipts_queue(namespace: str, retention_days: int, most_bytes: int) -> Queue:
    """The stream of the receipts of a namespace, kept for so many days and bytes."""
    return Queue(
        Names(namespace).receipts,
        {
            "x-queue-type": "stream",
            "x-max-age": f"{retention_days}D",
            "x-max-length-bytes": most_bytes,
            "x-stream-max-segment-size-bytes": min(_SEGMENT_BYTES, most_bytes // _SEGMENTS),
        },
    )


def stream_of(settings: WorkerSettings) -> Queue:
    """The stream of the receipts that these settings ask for."""
    return receipts_queue(
        settings.namespace, settings.receipts_retention_days, settings.receipts_max_bytes
    )


async def declare_stream(connection: AbstractConnection, queue: Queue) -> None:
    """Declare the stream of the receipts; what is there already with the same arguments stays as it
    is. Raises `StreamUnusable`, and what goes wrong with the connection.
    """
    channel = await connection.channel(publisher_confirms=False)
    try:
        await channel.declare_queue(queue.name, durable=True, arguments=queue.arguments)
    except ChannelPreconditionFailed as error:
        raise StreamUnusable(
            f"queue {queue.name} exists with other arguments, or this broker has no streams "
            f"({redact(str(error))}); set CONSENT_WORKER_RECEIPTS_RETENTION_DAYS and "
            "CONSENT_WORKER_RECEIPTS_MAX_BYTES as they were, delete the queue with all that is in "
            "it, or set CONSENT_WORKER_RECEIPTS=off"
        ) from None
    except ChannelAccessRefused as error:
        raise StreamUnusable(
            f"this user may not configure queue {queue.name} ({redact(str(error))}); "
            "give it the right, or set CONSENT_WORKER_RECEIPTS=off"
        ) from None
    except (AMQPError, ChannelInvalidStateError) as error:
        if _says_unknown(error):
            raise StreamUnusable(
                f"this broker has no streams, and queue {queue.name} can't be one: use RabbitMQ "
                "3.9 or later, or set CONSENT_WORKER_RECEIPTS=off"
            ) from None
        raise
    finally:
        if not channel.is_closed:
            await channel.close()


def _says_unknown(error: BaseException | None) -> bool:
    """Whether the broker closed the connection for a type of queue that it does not know."""
    while error is not None:
        if "x-queue-type" in str(error) or "NOT_IMPLEMENTED" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False

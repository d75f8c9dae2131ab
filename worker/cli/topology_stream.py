"""The stream of the receipts, where the settings ask for it."""

from __future__ import annotations

from worker.broker.receipts_stream import receipts_queue
from worker.broker.topology import Queue
from worker.settings import WorkerSettings


def stream_of(settings: WorkerSettings) -> Queue | None:
    """None where no receipts are written."""
    if settings.receipts == "off":
        return None
    days, most_bytes = settings.receipts_retention_days, settings.receipts_max_bytes
    return receipts_queue(settings.namespace, days, most_bytes)

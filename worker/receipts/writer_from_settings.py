"""The writer of receipts as the settings ask for it, for whatever process writes any."""

from __future__ import annotations

from functools import partial

from worker.broker.publishing_connection import PublishingConnection
from worker.broker.receipts_stream import declare_stream, stream_of
from worker.broker.session_settings import address_of
from worker.evidence.chain import Chain, process_name
from worker.receipts.receipt_writer import Facts, ReceiptWriter
from worker.receipts.stream_connection import StreamConnection
from worker.receipts.user_hashes import UserHashes
from worker.settings import WorkerSettings


def build_writer(settings: WorkerSettings, hashes: UserHashes, facts: Facts) -> ReceiptWriter:
    """A writer of receipts with a chain of its own, which is begun by `ReceiptWriter.start`."""
    queue = stream_of(settings)
    connection = partial(
        PublishingConnection,
        address_of(settings),
        partial(declare_stream, queue=queue),
        "receipts",
        0.0,
    )
    secret = settings.receipts_secret.get_secret_value().encode()
    return ReceiptWriter(
        lambda confirmed, opened: StreamConnection(connection, queue.name, confirmed, opened),
        Chain(process_name(), secret),
        hashes,
        facts,
    )

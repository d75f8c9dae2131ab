"""A writer of receipts without a worker around it, beside a broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import orjson
from pydantic import SecretStr

from tests.unit.evidence.chains import receipt
from worker.broker.publishing_connection import PublishingConnection
from worker.broker.receipts_stream import declare_stream, receipts_queue
from worker.evidence.chain import Chain
from worker.evidence.receipt import ReceiptFields, encode_receipt
from worker.receipts.receipt_writer import ReceiptWriter
from worker.receipts.stream_connection import StreamConnection
from worker.receipts.user_hashes import UserHashes
from worker.wire.connecting import BrokerAddress


class Hand:
    """Says what is in hand."""

    messages = 0

    def in_hand(self) -> int:
        return self.messages

    def state_row(self, unreceipted: dict[str, int]) -> bytes:
        return b"{}"

    def now_ms(self) -> int:
        return 1_800_000_000_000


@asynccontextmanager
async def writing(
    url: str, namespace: str, hand: Hand, secret: bytes = b""
) -> AsyncIterator[ReceiptWriter]:
    """One that has begun, and ends with the block."""
    queue = receipts_queue(namespace, 1, 50_000_000)
    connection = partial(
        PublishingConnection,
        BrokerAddress(SecretStr(url), 60),
        partial(declare_stream, queue=queue),
        "receipts",
        0.0,
    )
    writer = ReceiptWriter(
        lambda confirmed, opened: StreamConnection(connection, queue.name, confirmed, opened),
        Chain("host:1", secret),
        UserHashes(None, 1),
        hand,
    )
    writer.start()
    yield writer
    await writer.close()


def fields(number: int) -> ReceiptFields:
    """A receipt as a worker makes it."""
    made: ReceiptFields = orjson.loads(encode_receipt(receipt(number)))
    return made

"""What a process puts on record at once goes in as many messages as its rows need."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from worker.broker.chain_writer import ChainWriter
from worker.evidence.chain import Chain
from worker.evidence.heading import MOST_ROWS, MOST_WRITTEN_BYTES
from worker.evidence.receipt import MOST_ROW_BYTES
from worker.wire.connecting import BrokerAddress


@pytest.mark.parametrize(
    ("row", "rows", "messages"),
    [
        (b"x", MOST_ROWS, 1),
        (b"x", MOST_ROWS + 1, 2),
        (b"x" * MOST_ROW_BYTES, MOST_WRITTEN_BYTES // MOST_ROW_BYTES - 1, 1),
        (b"x" * MOST_ROW_BYTES, 2 * MOST_WRITTEN_BYTES // MOST_ROW_BYTES, 3),
        (b"", 0, 0),
    ],
)
def test_no_message_is_larger_than_a_broker_takes(row: bytes, rows: int, messages: int) -> None:
    writer = ChainWriter(
        BrokerAddress(SecretStr("amqp://nobody"), 30), "test", "receipts", Chain("host:1")
    )
    writer.add("trail", [row] * rows, 1)
    assert writer.unsent == 1 + messages, "and the beginning of the chain"

"""Reads the stream of the receipts as it is, for tests."""

from __future__ import annotations

from devtools.receipts_read import records_of
from devtools.stack import Stack
from worker.evidence.heading import read_message
from worker.evidence.receipt import Receipt, read_receipt


async def bodies_in(stack: Stack) -> list[bytes]:
    """All messages that are in the stream now."""
    return [one.body for one in await records_of(stack.amqp_url, stack.namespace)]


async def receipts_in(stack: Stack) -> list[Receipt]:
    """All receipts, in their order."""
    found: list[Receipt] = []
    for body in await bodies_in(stack):
        message = read_message(body)
        if message.heading.kind == "receipts":
            found += map(read_receipt, message.rows)
    return found


async def metric(stack: Stack, name: str) -> float:
    """The value of a metric without labels, of the worker that started last."""
    _, text = await stack.get("/metrics")
    values = [line.split()[-1] for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(values[0]) if values else -1.0

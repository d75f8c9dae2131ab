"""The file of a life for an auditor. It may span the messages of hours, so it is read while it is
sent: some messages at a time, each in a transaction of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson
from sqlalchemy import Connection

from worker.console.context import ConsoleContext
from worker.evidence.exported_file import RECEIPTS_FILE
from worker.ledger.exporting import (
    LifeSelection,
    export_portion,
    first_line,
    last_line,
    receipts_in,
)


async def life_file(
    context: ConsoleContext, selection: LifeSelection
) -> AsyncIterator[list[bytes]]:
    """The lines of a life's file. Raises `LedgerTrouble` and `UnusableLedger`: the file has no last
    line then.
    """
    secret = context.settings.receipts_secret.get_secret_value().encode()
    yield [orjson.dumps(first_line(RECEIPTS_FILE, selection.asked_for, context.now_ms()))]
    messages = receipts = 0
    last: int | None = 0
    while last is not None:
        lines, theirs, last = await context.query(_portion, selection, last, secret)
        messages += len(lines)
        receipts += theirs
        yield lines
    yield [orjson.dumps(last_line(messages, receipts))]


def _portion(
    connection: Connection, selection: LifeSelection, last: int, secret: bytes
) -> tuple[list[bytes], int, int | None]:
    lines, last_of_these = export_portion(connection, selection, last, secret)
    receipts = sum(map(receipts_in, lines))
    return [orjson.dumps(line) for line in lines], receipts, last_of_these

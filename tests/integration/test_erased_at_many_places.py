"""An erasure with more receipts than a message has: the months of a person stay together."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import aio_pika
from pydantic import SecretStr

from devtools.made_receipts import MadeWorker, receipt
from devtools.receipts_read import records_of
from tests.unit.ledger.ledger_file import ledger_file
from worker.broker.receipts_stream import declare_stream, receipts_queue
from worker.cli.erased_receipts import write_erased_receipts
from worker.evidence.heading import MOST_ROWS, read_message
from worker.evidence.receipt import read_receipt
from worker.evidence.user_hash import user_hashes
from worker.ledger.schema import RECEIPTS
from worker.ledger.stored_receipts import receipts_with
from worker.settings import WorkerSettings

KEYS = {f"2026{month:02}": bytes([month]) * 32 for month in range(1, 13)}
PLACES = [(f"customer-{number:03}", f"org-{number:03}") for number in range(400)]


async def test_a_life_that_goes_over_the_end_of_a_month_is_blanked_at_each_of_many_places(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    # The first message would end between these two, if it had as many rows as it may.
    ended = MOST_ROWS % len(KEYS)
    before, after = user_hashes("anna", KEYS)[ended - 1 : ended + 1]
    lives = [
        receipt("ev-1", user=user, integration=integration, organization=organization, **changes)
        for integration, organization in PLACES
        for user, changes in (
            (before, {"outcome": "retried", "reason": "timeout", "at": 1_000}),
            (after, {"at": 2_000}),
        )
    ]
    async with await aio_pika.connect(broker_url) as connection:
        await declare_stream(connection, receipts_queue(namespace, 1, 50_000_000))
    settings = WorkerSettings(amqp_url=SecretStr(broker_url), namespace=namespace)
    erased = await write_erased_receipts(settings, ["anna"], KEYS, PLACES)
    assert erased.written == len(KEYS) * len(PLACES) > MOST_ROWS
    bodies = [one.body for one in await records_of(broker_url, namespace)]
    rows = [list(map(read_receipt, read_message(one).rows)) for one in bodies]
    by_message = [Counter(one.integration for one in some) for some in rows if some]
    assert len(by_message) > 1
    assert all(set(some.values()) == {len(KEYS)} for some in by_message), "by what is written, too"
    with ledger_file(tmp_path) as ledger:
        assert ledger.take(MadeWorker().receipts(lives)) == {}
        assert ledger.take(*bodies) == {}
        with ledger.transaction() as connection:
            stored = receipts_with(connection, range(1, len(lives) + 1))
        assert [one.is_blanked for one in stored] == [True] * len(lives)
        assert ledger.count(RECEIPTS) == len(lives) + erased.written

"""What `erase` does about receipts: it writes that the person was erased, and the ledgers that read
it blank what they have of the person.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from worker.broker.broker_access import what_happened
from worker.broker.chain_writer import ChainWriter, portions
from worker.broker.queue_names import Names
from worker.broker.session_settings import address_of
from worker.evidence.chain import Chain, process_name
from worker.evidence.erasure_receipts import erased_rows
from worker.settings import WorkerSettings
from worker.wire.connecting import PublishError, is_connection_error

Place = tuple[str, str]


class ErasedReceipts(NamedTuple):
    """How many receipts of an erasure were written. `note` says why there are none, "" where there
    are; `is_left` where the command is to be run again.
    """

    written: int
    note: str = ""
    is_left: bool = False


IN_MEMORY: Final = ErasedReceipts(
    0, "no receipt written: with the state in memory no receipt has a hash of a person"
)
DRY_RUN: Final = ErasedReceipts(0, "no receipt written: that was a dry run")
_OFF: Final = ErasedReceipts(
    0,
    "no receipt written, since CONSENT_WORKER_RECEIPTS is off: what receipts told of the person "
    "before stays in ledgers until its retention ends",
)
_NO_KEYS: Final = ErasedReceipts(
    0,
    "no receipt written: the state has no key of any month, so nobody can tell whether a receipt "
    "is of the person",
)


async def write_erased_receipts(
    settings: WorkerSettings,
    ids: Collection[str],
    keys: Mapping[str, bytes],
    places: Collection[Place],
) -> ErasedReceipts:
    """Write the receipts of an erasure for these trimmed ids, keys by month, and places (see
    `erased_rows`), in a chain of their own, and wait until the broker has confirmed all of it.
    """
    if settings.receipts == "off":
        return _OFF
    if not keys:
        return _NO_KEYS
    queue = Names(settings.namespace).receipts
    secret = settings.receipts_secret.get_secret_value().encode()
    writer = ChainWriter(address_of(settings), "erase", queue, Chain(process_name(), secret))
    now_ms = int(time.time() * 1000)
    written = 0
    for one in ids:
        # All months of an id at a place in one message: an event may have receipts in two of them.
        for rows in portions(list(erased_rows(one, keys, [place], now_ms)) for place in places):
            writer.add("receipts", rows, now_ms)
            written += len(rows)
    writer.end(now_ms)
    try:
        await writer.send()
    except Exception as error:
        if not is_connection_error(error):
            raise
        return _not_written(error, queue)
    return ErasedReceipts(written)


def _not_written(error: Exception, queue: str) -> ErasedReceipts:
    why = what_happened(error)
    if isinstance(error, PublishError):
        why = f"there is no stream {queue}; a worker makes it, unless CONSENT_WORKER_RECEIPTS=off"
    return ErasedReceipts(
        0,
        f"receipts of the erasure not written: {why}. Ledgers keep what receipts told of the "
        "person until you run the command again, which may be repeated",
        is_left=True,
    )

"""The epochs of the workers' state, for whoever works beside the workers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from worker.broker.broker_access import BrokerAway
from worker.ordering.epoch import LastingEpochs
from worker.ordering.store_protocol import StoreUnavailable
from worker.settings import WorkerSettings
from worker.store_choice import lasting_store

AGAIN: Final = "; mend that, and run the command again, it may be repeated"
"""What a command is told when the state is away."""


@asynccontextmanager
async def epochs_of(settings: WorkerSettings) -> AsyncIterator[LastingEpochs | None]:
    """The epochs of the workers' state, None where that is in memory. Raises `UnusableSetting`, and
    `BrokerAway` for what goes wrong during the block.
    """
    store = lasting_store(settings, None, is_worker=False)
    if store is None:
        yield None
        return
    try:
        yield store.epochs
    except StoreUnavailable as problem:
        raise BrokerAway(f"{problem}{AGAIN}") from None
    finally:
        await store.close()

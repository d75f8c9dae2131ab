"""The keys by which receipts call persons, month by month, for whoever looks one up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.broker.broker_access import BrokerAway
from worker.letters.state_epochs import AGAIN
from worker.ordering.store_protocol import StoreUnavailable
from worker.settings import UnusableSetting, WorkerSettings
from worker.store_choice import lasting_store

_IN_MEMORY: Final = (
    "the workers' state is in memory (CONSENT_WORKER_STATE_URL), so receipts have no hash of a "
    "person; find the event's id in Didomi's console, and look for that"
)
NO_KEYS: Final = (
    "the state keeps no key of any month: no receipt with the hash of a person was written yet, or "
    "the state was lost"
)


async def known_month_keys(settings: WorkerSettings) -> Mapping[str, bytes]:
    """The keys by which receipts call persons, by month (`YYYYMM`), as the workers' state keeps
    them. Raises `UnusableSetting` where that is in memory, and `BrokerAway`.
    """
    store = lasting_store(settings, None, is_worker=False)
    if store is None:
        raise UnusableSetting(_IN_MEMORY)
    try:
        return await store.month_keys.known()
    except StoreUnavailable as problem:
        raise BrokerAway(f"{problem}{AGAIN}") from None
    finally:
        await store.close()

"""How a person is called in receipts: by a hash with a random key that lives as long as they do.

Each month has a key of its own, which the fleet shares by the state store and which is destroyed
there: from then on nobody can tell whose a receipt of that month was.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final

import structlog

from worker.evidence.user_hash import HASH_BYTES
from worker.ordering.month_keys import MonthKeys, month_of
from worker.ordering.store_protocol import StoreUnavailable

log = structlog.get_logger(__name__)

_DAY_MS: Final = 86_400_000
MONTH_DAYS: Final = 31


class UserHashes:
    """What persons are called in receipts. `keys` is None where the state does not outlive its
    worker: then nobody has a hash. A key is made a day before its month, and kept until the last
    receipts of it are `retention_days` old.
    """

    def __init__(self, keys: MonthKeys | None, retention_days: int) -> None:
        self._keys = keys
        self._life_seconds = (retention_days + MONTH_DAYS + 1) * 86_400.0
        self._known: dict[str, bytes] = {}
        self._from_ms = self._until_ms = 0
        self._prefix = ""
        self._key: bytes | None = None

    async def learn(self, now_ms: int) -> None:
        """Get the key of this month, and near its end that of the next; what can't be had now is
        asked for again the next time. What is known is asked for as well: a state that has lost its
        data gets the key back before anybody makes another one, or tells which one was made.
        """
        if self._keys is None:
            return
        months = {month_of(now_ms), month_of(now_ms + _DAY_MS)}
        try:
            for month in sorted(months):
                held = self._known.get(month)
                self._known[month] = await self._keys.key_of(month, self._life_seconds, held)
        except StoreUnavailable as problem:
            log.warning("receipts.no_user_hash", detail=str(problem))
            return
        finally:
            self._until_ms = 0  # what was learnt counts, though the next key can't be had
        for month in self._known.keys() - months:
            del self._known[month]

    def hash_of(self, organization_user_id: str, at_ms: int) -> str | None:
        """The hash of a trimmed person id in receipts of `at_ms` (ms since 1970); None without a
        key.
        """
        if not self._from_ms <= at_ms < self._until_ms:
            self._turn_to(at_ms)
        key = self._key
        if key is None or not organization_user_id:
            return None
        said = organization_user_id.encode(errors="surrogatepass")
        # In one call, which takes half as long as to copy one that has its key already.
        return self._prefix + blake2b(said, key=key, digest_size=HASH_BYTES).hexdigest()

    def _turn_to(self, at_ms: int) -> None:
        first = datetime.fromtimestamp(at_ms / 1000, UTC).replace(
            day=1, hour=0, minute=0, second=0, microsecond=0
        )
        after = (first + timedelta(days=MONTH_DAYS + 1)).replace(day=1)
        self._from_ms, self._until_ms = (
            round(first.timestamp() * 1000),
            round(after.timestamp() * 1000),
        )
        month = month_of(at_ms)
        self._prefix = f"{month}:"
        self._key = self._known.get(month)

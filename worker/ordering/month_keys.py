"""Month keys, by which receipts call persons: random, kept while needed, and then forgotten."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Final, Protocol

KEY_BYTES: Final = 32


class MonthKeys(Protocol):
    """Where the state keeps its month keys."""

    async def key_of(self, month: str, life_seconds: float, held: bytes | None = None) -> bytes:
        """The key of a month (`YYYYMM`). Where there is none it is `held`, which the caller has had
        before, or made now; to be forgotten after `life_seconds`. Raises `StoreUnavailable`.
        """
        ...

    async def known(self) -> dict[str, bytes]:
        """All month keys that are kept, by month. Raises `StoreUnavailable`."""
        ...


def new_key() -> bytes:
    """A month key that nobody has had."""
    return secrets.token_bytes(KEY_BYTES)


def month_of(at_ms: int) -> str:
    """The month of a time in ms since 1970, by UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y%m")

"""How a person is called in receipts: month by month, by a hash with the key of the month. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

HASH_BYTES: Final = 16


def user_hashes(person: str, keys: Mapping[str, bytes]) -> list[str]:
    """What a trimmed `organization_user_id` is called by the key of each month (`YYYYMM`)."""
    said = person.encode(errors="surrogatepass")
    return [
        f"{month}:{blake2b(said, key=key, digest_size=HASH_BYTES).hexdigest()}"
        for month, key in keys.items()
    ]

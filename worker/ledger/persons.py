"""How a person is called in receipts, month by month. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

from worker.ledger.packing import pack_user

_HASH_BYTES = 16


def users_of(person: str, keys: Mapping[str, bytes]) -> list[bytes]:
    """The packed hash of a trimmed `organization_user_id` by the key of each month (`YYYYMM`)."""
    said = person.encode(errors="surrogatepass")
    packed = [
        pack_user(f"{month}:{blake2b(said, key=key, digest_size=_HASH_BYTES).hexdigest()}")
        for month, key in keys.items()
    ]
    return [one for one in packed if one is not None]

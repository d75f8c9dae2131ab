"""How the tables call a person, month by month. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from worker.evidence.user_hash import user_hashes
from worker.ledger.packing import pack_user


def users_of(person: str, keys: Mapping[str, bytes]) -> list[bytes]:
    """The packed hash of a trimmed `organization_user_id` by the key of each month (`YYYYMM`)."""
    packed = map(pack_user, user_hashes(person, keys))
    return [one for one in packed if one is not None]

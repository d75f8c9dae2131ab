"""What dead letters have in common, and so what is to be done for all of them at once."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from sqlalchemy import Connection, select

from worker.ledger.database import highest_id, insert_all
from worker.ledger.schema_letters import LETTER_GROUPS

_MOST_KEPT = 10_000


class Group(NamedTuple):
    """A group of dead letters: its fingerprint with the numbers of its texts: of integration,
    reason and error, and of the version of the integration's configuration; Adobe's HTTP status and
    code, and a path.
    """

    integration_id: int
    reason_id: int
    error_id: int
    status: int | None
    config_id: int
    code: str | None = None
    field: str | None = None


class LetterGroups:
    """The numbers of groups of dead letters, for the one writer. `forget` is to be called when a
    transaction was not kept.
    """

    def __init__(self) -> None:
        self._ids: dict[Group, int] = {}

    def forget(self) -> None:
        """Read the numbers of groups of dead letters again."""
        self._ids.clear()

    def id_of(self, connection: Connection, group: Group) -> int:
        """The number of a group of dead letters, which gets one where it is new."""
        found = self._ids.get(group)
        if found is None:
            if len(self._ids) > _MOST_KEPT:
                self._ids.clear()
            found = self._ids[group] = _known(connection, group) or _added(connection, group)
        return found


def _fingerprint(group: Group) -> bytes:
    """Without code and field it is that of the ledger's first version, which had none."""
    parts = tuple(group) if group.code or group.field else tuple(group)[:5]
    return blake2b(repr(parts).encode(), digest_size=8).digest()


def _known(connection: Connection, group: Group) -> int | None:
    same = LETTER_GROUPS.c.fingerprint == _fingerprint(group)
    return connection.execute(select(LETTER_GROUPS.c.id).where(same)).scalar()


def _added(connection: Connection, group: Group) -> int:
    number = highest_id(connection, LETTER_GROUPS) + 1
    insert_all(connection, LETTER_GROUPS, [(number, _fingerprint(group), *group)])
    return number

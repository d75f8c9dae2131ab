"""Texts that come again and again, by their numbers in the ledger."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from sqlalchemy import Connection, select

from worker.ledger.database import highest_id, insert_all, portions
from worker.ledger.schema import NAMES

_MOST_KEPT: Final = 20_000
"""Texts kept in memory, far more than a fleet has at once; strangers may write any number."""


class Dictionary:
    """The numbers of repeated texts, for the one writer. Call `forget` when a transaction was not
    kept.
    """

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._next_id = 0

    def forget(self) -> None:
        """Read the numbers of texts again."""
        self._ids.clear()
        self._next_id = 0

    def ids_of(self, connection: Connection, texts: Collection[str]) -> dict[str, int]:
        """The number of each text in the ledger; those that are new get one."""
        if len(self._ids) > _MOST_KEPT:
            self._ids.clear()
        known = self._ids
        if missing := [one for one in texts if one not in known]:
            known.update(_read(connection, missing))
            if new := [one for one in missing if one not in known]:
                known.update(self._add(connection, new))
        return {one: known[one] for one in texts}

    def _add(self, connection: Connection, texts: Collection[str]) -> dict[str, int]:
        if not self._next_id:
            self._next_id = highest_id(connection, NAMES) + 1
        added = {one: self._next_id + n for n, one in enumerate(texts)}
        self._next_id += len(added)
        insert_all(connection, NAMES, [(number, text) for text, number in added.items()])
        return added


def _read(connection: Connection, texts: list[str]) -> Iterable[tuple[str, int]]:
    for some in portions(texts):
        query = select(NAMES.c.text, NAMES.c.id).where(NAMES.c.text.in_(some))
        yield from ((text, number) for text, number in connection.execute(query))


def texts_of(connection: Connection, ids: Collection[int]) -> dict[int, str]:
    """The texts with these numbers in the ledger, for readers."""
    found: dict[int, str] = {}
    wanted = list(set(ids))
    for some in portions(wanted):
        query = select(NAMES.c.id, NAMES.c.text).where(NAMES.c.id.in_(some))
        found.update((number, text) for number, text in connection.execute(query))
    return found


def id_of(connection: Connection, text: str) -> int | None:
    """The number of one text in the ledger, for readers; None where no row can have it."""
    return connection.execute(select(NAMES.c.id).where(NAMES.c.text == text)).scalar()

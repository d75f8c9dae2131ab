"""The lives that one transaction changes: read from their table, and written back with balances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, func, select

from worker.ledger.database import highest_id, insert_all, portions, put_all, rows_with
from worker.ledger.life import WAITING, Life
from worker.ledger.schema import BALANCES, LIVES, RECEIPTS


class LifeRows:
    """The lives with `keys`, as one transaction changes them."""

    def __init__(self, connection: Connection, keys: Iterable[bytes]) -> None:
        self._connection = connection
        self._ids: dict[bytes, int] = {}
        self._before: dict[bytes, Life] = {}
        for number, key, life in _lives_of(connection, keys):
            self._ids[key] = number
            self._before[key] = life
        self._now = dict(self._before)

    def get(self, key: bytes) -> Life | None:
        """The life with this key, as it is by now."""
        return self._now.get(key)

    def put(self, key: bytes, life: Life) -> None:
        """The life with this key is like that from now on."""
        self._now[key] = life

    def take_doubt(self, key: bytes) -> Life | None:
        """The life of an event that waited while nobody knew for which integration, and that ends
        here: now somebody does.
        """
        life = self._now.get(key)
        if life is None or life.outcome not in WAITING:
            return None
        del self._now[key]
        return life

    def write(self) -> None:
        """Write the lives that have changed."""
        gone = [key for key in self._before if key not in self._now]
        for some in portions(gone):
            self._connection.execute(LIVES.delete().where(LIVES.c.life.in_(some)))
        number = highest_id(self._connection, LIVES)
        new, changed = [], []
        for key in sorted(self._now):  # as in the index
            life, before = self._now[key], self._before.get(key)
            if before is None:
                number += 1
                new.append((number, key, *life))
            elif before != life:
                changed.append((self._ids[key], key, *life))
        insert_all(self._connection, LIVES, new)
        put_all(self._connection, LIVES, changed)
        self._write_balances()

    def _write_balances(self) -> None:
        changes = Counter([(life[0], life[2]) for life in self._now.values()])
        changes.subtract([(life[0], life[2]) for life in self._before.values()])
        integrations = {integration_id for integration_id, _ in changes}
        query = select(BALANCES).where(BALANCES.c.integration_id.in_(integrations))
        counts = {(one, outcome): lives for one, outcome, lives in self._connection.execute(query)}
        rows = [
            (*place, counts.get(place, 0) + change) for place, change in changes.items() if change
        ]
        put_all(self._connection, BALANCES, rows)


def put_behind(connection: Connection, later_id: int, earlier_id: int) -> None:
    """Let the receipts that lead back from one go on with another: those of a doubt with those of a
    life that there was before it. Else nobody would find them, nor an erasure.
    """
    back = select(RECEIPTS.c.id, RECEIPTS.c.before_id).where(RECEIPTS.c.id == later_id)
    chain = back.cte(recursive=True)
    chain = chain.union_all(
        select(RECEIPTS.c.id, RECEIPTS.c.before_id).where(RECEIPTS.c.id == chain.c.before_id)
    )
    first = select(func.min(chain.c.id)).scalar_subquery()
    connection.execute(RECEIPTS.update().where(RECEIPTS.c.id == first).values(before_id=earlier_id))


def are_in_doubt(connection: Connection, nobody_id: int) -> bool:
    """Whether any event waits without an integration; `nobody_id` is the number of no name."""
    query = select(BALANCES.c.lives).where(
        BALANCES.c.integration_id == nobody_id, BALANCES.c.outcome.in_(WAITING)
    )
    return any(lives > 0 for lives in connection.execute(query).scalars())


def _lives_of(connection: Connection, keys: Iterable[bytes]) -> Iterator[tuple[int, bytes, Life]]:
    """Those that are there already, with their numbers and keys."""
    for number, key, *life in rows_with(connection, LIVES.c.life, sorted(keys)):
        yield number, bytes(key), Life(*life)

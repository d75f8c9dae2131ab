"""Withdrawals that Adobe does not have: those that wait, and those that were given up.

Which choice an event is only a try tells. What comes back and is parked again, or ends without
another try, has a last receipt without a choice, so earlier receipts of the life are looked at.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Connection, Subquery, func, literal, select

from worker.ledger.dictionary import texts_of
from worker.ledger.packing import CHOICE_NUMBERS
from worker.ledger.schema import LIVES, RECEIPTS

MOST_LOOKED_AT: Final = 50_000
"""Lives; an outage of hours has more, and a page has to be there in a moment."""
MOST_LOOKED_BACK: Final = 200_000
"""Receipts before the last ones of these lives, for the same reason."""


class OpenWithdrawals(NamedTuple):
    """The open withdrawals of one integration: how many wait and when the oldest of them was made
    (ms since 1970), how many were given up. `unread` events wait, and `unread_dead` are dead
    letters, of which no receipt that was looked at tells the choice: there may be withdrawals among
    them.
    """

    waiting: int = 0
    oldest_at: int | None = None
    given_up: int = 0
    unread: int = 0
    unread_dead: int = 0


class AllOpenWithdrawals(NamedTuple):
    """Open withdrawals by integration. `is_part`: there are more lives than were looked at."""

    by_integration: dict[str, OpenWithdrawals]
    is_part: bool

    @property
    def oldest(self) -> tuple[str, int] | None:
        """The integration and time of the oldest withdrawal that waits."""
        known = [
            (one.oldest_at, name)
            for name, one in self.by_integration.items()
            if one.oldest_at is not None
        ]
        if not known:
            return None
        at, name = min(known)
        return name, at

    @property
    def given_up(self) -> int:
        """How many withdrawals of all integrations were given up."""
        return sum(one.given_up for one in self.by_integration.values())

    @property
    def unread(self) -> int:
        """How many events of all integrations wait of which no receipt tells the choice."""
        return sum(one.unread for one in self.by_integration.values())

    @property
    def unread_dead(self) -> int:
        """How many dead letters of all integrations there are of which no receipt tells that."""
        return sum(one.unread_dead for one in self.by_integration.values())


class _Choices(NamedTuple):
    """The choices of some lives of an integration: how many are withdrawals, when the oldest of
    these was made, how many are unknown.
    """

    lives: int
    withdrawn: int
    oldest_at: int | None
    unread: int


_NO_LIVES: Final = _Choices(0, 0, None, 0)


def open_withdrawals(connection: Connection) -> AllOpenWithdrawals:
    """The withdrawals that Adobe does not have, as far as the ledger knows: what a worker has in
    hand it says itself.
    """
    waiting = _choices(connection, LIVES.c.due_at)
    given_up = _choices(connection, LIVES.c.group_id)
    names = texts_of(connection, [*waiting, *given_up])
    by_integration = {}
    for one in {**waiting, **given_up}:
        there, gone = waiting.get(one, _NO_LIVES), given_up.get(one, _NO_LIVES)
        by_integration[names.get(one, "")] = OpenWithdrawals(
            there.withdrawn, there.oldest_at, gone.withdrawn, there.unread, gone.unread
        )
    is_part = any(
        sum(one.lives for one in some.values()) >= MOST_LOOKED_AT for some in (waiting, given_up)
    )
    return AllOpenWithdrawals(by_integration, is_part)


def _choices(connection: Connection, column: Column[Any]) -> dict[int, _Choices]:
    """The choices of lives that have a value in `column`, by the number of their integration."""
    lives = (
        select(LIVES.c.integration_id, LIVES.c.last_id)
        .where(column.is_not(None))
        .order_by(column)
        .limit(MOST_LOOKED_AT)
        .subquery()
    )
    has_none = RECEIPTS.c.choice.is_(None)
    query = (
        select(lives.c.integration_id, func.count(), func.count().filter(has_none))
        .outerjoin(RECEIPTS, RECEIPTS.c.id == lives.c.last_id)
        .group_by(lives.c.integration_id)
    )
    counts = connection.execute(query).all()
    without = sum(row[2] for row in counts)
    told = _told(connection, lives, MOST_LOOKED_BACK // max(1, without))
    found = {}
    for integration_id, count, _ in counts:
        known, withdrawn, oldest_at = told.get(integration_id, (0, 0, None))
        found[integration_id] = _Choices(count, withdrawn, oldest_at, count - known)
    return found


def _told(
    connection: Connection, lives: Subquery, most_back: int
) -> dict[int, tuple[int, int, int | None]]:
    """What the latest receipts that have a choice tell, by integration: how many lives have any,
    how many of these are withdrawals, and when the oldest of these was made. `most_back` receipts
    before the last one of each life are looked at.
    """
    told = (RECEIPTS.c.before_id, RECEIPTS.c.choice, RECEIPTS.c.event_at)
    last = select(lives.c.integration_id, literal(0).label("back"), *told)
    steps = last.join(RECEIPTS, RECEIPTS.c.id == lives.c.last_id).cte(recursive=True)
    before = select(steps.c.integration_id, steps.c.back + 1, *told)
    goes_on = steps.c.choice.is_(None) & (steps.c.back < most_back)
    steps = steps.union_all(
        before.join(RECEIPTS, RECEIPTS.c.id == steps.c.before_id).where(goes_on)
    )
    is_withdrawal = steps.c.choice == CHOICE_NUMBERS["withdrawn"]
    query = (
        select(
            steps.c.integration_id,
            func.count(),
            func.count().filter(is_withdrawal),
            func.min(steps.c.event_at).filter(is_withdrawal),
        )
        .where(steps.c.choice.is_not(None))
        .group_by(steps.c.integration_id)
    )
    return {one: (known, gone, at) for one, known, gone, at in connection.execute(query)}

"""Withdrawals that Adobe does not have: those that wait, and those that were given up."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection, func, select

from worker.ledger.dictionary import texts_of
from worker.ledger.packing import CHOICE_NUMBERS
from worker.ledger.schema import LIVES, RECEIPTS

MOST_LOOKED_AT: Final = 50_000
"""Lives; an outage of hours has more, and a page has to be there in a moment."""


class OpenWithdrawals(NamedTuple):
    """The open withdrawals of one integration: how many wait and when the oldest of them was made
    (ms since 1970), how many were given up.
    """

    waiting: int = 0
    oldest_at: int | None = None
    given_up: int = 0


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


def open_withdrawals(connection: Connection) -> AllOpenWithdrawals:
    """The withdrawals that Adobe does not have, as far as the ledger knows: what a worker has in
    hand it says itself.
    """
    found: dict[int, OpenWithdrawals] = {}
    is_part = False
    is_withdrawal = RECEIPTS.c.choice == CHOICE_NUMBERS["withdrawn"]
    for column in (LIVES.c.due_at, LIVES.c.group_id):
        lives = (
            select(LIVES.c.integration_id, LIVES.c.last_id)
            .where(column.is_not(None))
            .limit(MOST_LOOKED_AT)
            .subquery()
        )
        query = (
            select(
                lives.c.integration_id,
                func.count(),
                func.count().filter(is_withdrawal),
                func.min(RECEIPTS.c.event_at).filter(is_withdrawal),
            )
            .join(RECEIPTS, RECEIPTS.c.id == lives.c.last_id)
            .group_by(lives.c.integration_id)
        )
        looked_at = 0
        for integration_id, count, withdrawn, oldest_at in connection.execute(query):
            looked_at += count
            before = found.get(integration_id, OpenWithdrawals())
            found[integration_id] = (
                before._replace(waiting=withdrawn, oldest_at=oldest_at)
                if column is LIVES.c.due_at
                else before._replace(given_up=withdrawn)
            )
        is_part = is_part or looked_at >= MOST_LOOKED_AT
    names = texts_of(connection, list(found))
    return AllOpenWithdrawals({names.get(one, ""): said for one, said in found.items()}, is_part)

"""Whether there are more events than are looked at for withdrawals: then pages say so. Pure."""

from __future__ import annotations

from typing import NamedTuple

from worker.ledger.open_withdrawals import MOST_LOOKED_AT, AllOpenWithdrawals
from worker.ledger.overview import Overview


class Unseen(NamedTuple):
    """Whether some events that wait, and some dead letters, were not looked at for withdrawals.
    `looked_at` of each were, of the whole fleet.
    """

    waiting: bool = False
    dead: bool = False
    looked_at: int = MOST_LOOKED_AT

    def of_integration(self, waiting: int, letters: int) -> Unseen:
        """As much of it as may be of an integration that has so many events and dead letters."""
        return self._replace(waiting=self.waiting and waiting > 0, dead=self.dead and letters > 0)


def unseen_of(told: Overview, withdrawals: AllOpenWithdrawals) -> Unseen:
    """What was not looked at for the open withdrawals of the fleet that `told` tells of."""
    waiting = sum(told.waiting) > MOST_LOOKED_AT
    dead = sum(told.dead_letters.values()) > MOST_LOOKED_AT
    # The withdrawals may have been asked for a moment earlier, when there were more events.
    is_unclear = withdrawals.is_part and not (waiting or dead)
    return Unseen(waiting or is_unclear, dead or is_unclear, MOST_LOOKED_AT)

"""The epoch of a store: by it a loss of the whole state shows.

A store that outlives its workers has one from its first use until it loses its data. Messages that
are published again carry it (`consent-epoch`): one that comes back with another epoch than the
store's was published under a state that is lost since.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Final, NamedTuple, Protocol

MOST_OPEN: Final = 16
MOST_ACCEPTED: Final = 64
"""Losses that are kept: whoever may publish to the queues of the workers can name any epoch."""


def new_epoch() -> str:
    """An epoch that no store has had."""
    return secrets.token_hex(8)


class Loss(NamedTuple):
    """A lost epoch: when that was noticed, and when an operator accepted it (0: not yet), both in
    ms since 1970 by the store's clock.
    """

    epoch: str
    noticed_ms: int
    accepted_ms: int


class Epochs(NamedTuple):
    """The `present` epoch of a store, which knows nothing of before `began_ms` (ms since 1970), and
    the lost ones in the order in which they were noticed. Of the parts `unasked` it is not known
    now whether they still have their data.
    """

    present: str
    began_ms: int
    losses: tuple[Loss, ...]
    unasked: frozenset[str] = frozenset()

    @property
    def open_losses(self) -> tuple[Loss, ...]:
        """The losses of epochs that no operator has accepted."""
        return tuple(one for one in self.losses if not one.accepted_ms)


class EpochKeeper(Protocol):
    """Where the epoch of a store is kept."""

    async def look(self, met: Collection[str]) -> Epochs:
        """The epochs as they are now; there is a present one from then on. Those of `met` that are
        not the present one are noted as lost, as far as there is room. Raises `StoreUnavailable`.
        """
        ...


class LastingEpochs(EpochKeeper, Protocol):
    """What an operator's command asks and tells of a store's epochs. Every method raises
    `StoreUnavailable`.
    """

    async def read(self) -> Epochs | None:
        """The epochs as they are now; None where no worker has looked yet. Changes nothing."""
        ...

    async def accept(self, lost: Collection[str]) -> None:
        """An operator has accepted the loss of these epochs."""
        ...

"""The state of newest-wins where it outlives its workers."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from worker.ordering.epoch import LastingEpochs
from worker.ordering.month_keys import MonthKeys
from worker.ordering.store_protocol import NewestStore, StoreUnavailable


class WrongKindOfRedis(StoreUnavailable):
    """Redis is a cluster where the URL says that it is one server, or the other way round. The text
    says what to write.
    """


@runtime_checkable
class LastingStore(NewestStore, Protocol):
    """A `NewestStore` that is kept over a start. Its users are called by a secret."""

    @property
    def is_shared(self) -> bool:
        """Whether the state is that of several workers."""
        ...

    @property
    def digests_are_guessable(self) -> bool:
        """Whether the state is used without a secret, by others than its owner."""
        ...

    @property
    def epochs(self) -> LastingEpochs:
        """The epochs by which a loss of the whole state shows."""
        ...

    @property
    def month_keys(self) -> MonthKeys:
        """The keys by which receipts call persons."""
        ...

    async def admit(self) -> None:
        """Look whether the ordering secret is that of the state, which every other call does first.
        Raises `SecretRefused`, `WrongKindOfRedis`, and `StoreUnavailable`.
        """
        ...

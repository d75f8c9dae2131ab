"""The epochs of a store, in plain Python: what `worker.ordering.redis_namespace` keeps in Redis."""

from __future__ import annotations

from collections.abc import Collection

from worker.ordering.epoch import Epochs, Loss
from worker.ordering.store_protocol import StoreUnavailable

MOST_OPEN, MOST_ACCEPTED = 16, 64


class Keeper:
    """`now_ms` is its clock, `told` what each look has brought; while `away`, no look succeeds, and
    none tells of the parts `unasked`.
    """

    def __init__(self, first: str = "1" * 16) -> None:
        self.next_epoch = first
        self.epochs: Epochs | None = None
        self.now_ms = 1_800_000_000_000
        self.told: list[set[str]] = []
        self.away = False
        self.unasked: frozenset[str] = frozenset()

    async def look(self, met: Collection[str]) -> Epochs:
        """See `EpochKeeper`."""
        if self.away:
            raise StoreUnavailable("the keeper is away")
        self.told.append(set(met))
        if self.epochs is None:
            self.epochs = Epochs(self.next_epoch, self.now_ms, ())
        for epoch in met:
            known = {self.epochs.present, *(one.epoch for one in self.epochs.losses)}
            if epoch not in known and len(self.epochs.open_losses) < MOST_OPEN:
                losses = (*self.epochs.losses, Loss(epoch, self.now_ms, 0))
                self.epochs = self.epochs._replace(losses=losses)
        return self.epochs._replace(unasked=self.unasked)

    def lose(self, next_epoch: str) -> None:
        """All data are gone; the next one who looks makes this epoch."""
        self.epochs, self.next_epoch = None, next_epoch

    def accept(self, lost: Collection[str]) -> None:
        """An operator has accepted the loss of these."""
        if self.epochs is None:
            return
        losses = [
            one._replace(accepted_ms=self.now_ms)
            if one.epoch in lost and not one.accepted_ms
            else one
            for one in self.epochs.losses
        ]
        accepted = [one for one in losses if one.accepted_ms]
        for one in accepted[: max(0, len(accepted) - MOST_ACCEPTED)]:
            losses.remove(one)
        self.epochs = self.epochs._replace(losses=tuple(losses))

    @property
    def open_epochs(self) -> set[str]:
        """Whose loss nobody has accepted."""
        return {one.epoch for one in self.epochs.open_losses} if self.epochs else set()

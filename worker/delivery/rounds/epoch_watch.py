"""Whether the state of newest-wins was lost: what this worker knows of it, and tells the fleet.

A loss shows in two ways: the store has another epoch than a moment ago, or a message comes back
with another one. Nothing is stopped for it. The store keeps what was noticed, so that every worker
tells of it, also after a restart, until an operator accepts the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import structlog

from worker.broker.retry_state import FRESH, RetryState
from worker.ordering.epoch import EpochKeeper, Epochs

log = structlog.get_logger(__name__)

_MET_AT_MOST: Final = 16
"""Epochs that are remembered until the store is told: whoever may publish to the workers' queues
can name any."""
_LOST: Final = (
    "the state has lost its data: it knows nothing of what was sent before {began}, so an older "
    "choice that comes late may replace a newer one, or has. See docs/runbooks/state-lost.md; "
    "`consent-worker state accept` ends this alarm"
)


def shown_time(time_ms: int) -> str:
    """A time in ms since 1970 as an operator reads it, to the second."""
    try:
        return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):  # no clock of ours has told it
        return "an unknown time"


class EpochWatch:
    """Watches the epoch of the store by its `keeper`; without one there is nothing to watch."""

    def __init__(self, keeper: EpochKeeper | None) -> None:
        self._keeper = keeper
        self._seen: Epochs | None = None
        self._known: frozenset[str] = frozenset()
        self._met: set[str] = set()
        self.fresh: RetryState = FRESH
        """The state of a message that a worker meets first: it has the present epoch, if known."""
        self._on_loss: list[Callable[[], None]] = []
        self._on_accepted: list[Callable[[], None]] = []

    def when_lost(self, callback: Callable[[], None]) -> None:
        """Call `callback` each time the store is found to have lost its data while this worker ran:
        what this worker knows can be kept there anew.
        """
        self._on_loss.append(callback)

    def when_accepted(self, callback: Callable[[], None]) -> None:
        """Call `callback` each time an operator has accepted that the state was lost."""
        self._on_accepted.append(callback)

    @property
    def problem(self) -> str:
        """What an operator has to know of a loss of the state; empty while none is open."""
        if self._seen is None or not self._seen.open_losses:
            return ""
        return _LOST.format(began=shown_time(self._seen.began_ms))

    @property
    def has_news(self) -> bool:
        """Whether an epoch was met of which the store has not been told."""
        return bool(self._met)

    def is_sure_of(self, part: str) -> bool:
        """Whether the last look has told of this part of the store, too, if its data is lost."""
        return self._seen is None or part not in self._seen.unasked

    def meet(self, epoch: str) -> None:
        """A message has come back that names this epoch."""
        if epoch not in self._known and len(self._met) < _MET_AT_MOST:
            self._met.add(epoch)

    async def look(self) -> None:
        """Tell the store which epochs were met, and learn how it is. Raises `StoreUnavailable`."""
        if self._keeper is None:
            return
        before = self._seen
        met = set(self._met)
        now = await self._keeper.look(met if before is None else met | {before.present})
        self._met -= met
        self._seen = now
        self._known = frozenset((now.present, *(one.epoch for one in now.losses)))
        if before is None or before.present != now.present:
            self.fresh = RetryState(epoch=now.present)
        self._tell(before, now)
        if before is not None and before.present != now.present:
            _call(self._on_loss)
        if before is not None and before.open_losses and not now.open_losses:
            _call(self._on_accepted)

    def _tell(self, before: Epochs | None, now: Epochs) -> None:
        """Once for each loss, and not for each epoch that shows it."""
        had = before.open_losses if before is not None else ()
        is_anew = before is not None and before.present != now.present
        if now.open_losses and (not had or is_anew):
            noticed = shown_time(now.open_losses[0].noticed_ms)
            log.error("ordering.state_lost", noticed=noticed, detail=self.problem)
        elif had and not now.open_losses:
            log.info("ordering.state_accepted")


def _call(callbacks: list[Callable[[], None]]) -> None:
    for callback in callbacks:
        callback()

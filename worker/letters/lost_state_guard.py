"""Letters of before the state was lost: `replay` keeps them, unless it is told otherwise."""

from __future__ import annotations

from typing import Final, Self

from worker.broker.dead_letter import DeadLetter
from worker.letters.state_epochs import epochs_of
from worker.settings import WorkerSettings

_RUNBOOK: Final = "docs/runbooks/state-lost.md"
_LOST: Final = (
    "of before the state was lost: nobody knows what was sent since, so an older choice can "
    f"replace a newer one. See {_RUNBOOK}; --after-state-loss replays them"
)
_UNKNOWN: Final = (
    "of which this command can't tell whether the state still knows what was sent since: set "
    "CONSENT_WORKER_STATE_URL as for the workers. Where that was lost, see "
    f"{_RUNBOOK}; --after-state-loss replays them"
)


class LostStateGuard:
    """Holds back letters of another epoch than `epoch`, that of the store, and counts them.
    `is_known`: the store could be asked; `is_off`: the operator wants them replayed all the same.
    """

    def __init__(self, epoch: str | None, *, is_known: bool, is_off: bool) -> None:
        self.epoch = epoch
        self._is_known = is_known
        self._is_off = is_off
        self.held_back = 0

    @classmethod
    async def of(cls, settings: WorkerSettings, *, is_off: bool) -> Self:
        """The guard by the workers' store. Raises `BrokerAway` and `UnusableSetting`."""
        async with epochs_of(settings) as epochs:
            found = await epochs.read() if epochs is not None else None
            present = found.present if found is not None else None
            return cls(present, is_known=epochs is not None, is_off=is_off)

    def holds_back(self, letter: DeadLetter) -> bool:
        """Whether the letter is to stay, which is counted. One without an epoch never is: a worker
        without Redis has written it, or one of a version before.
        """
        is_held = not self._is_off and letter.epoch is not None and letter.epoch != self.epoch
        self.held_back += is_held
        return is_held

    @classmethod
    def off(cls) -> Self:
        """A guard that holds no letter back."""
        return cls(None, is_known=False, is_off=True)

    @property
    def reason(self) -> str:
        """Why letters are held back, after their number."""
        return _LOST if self._is_known else _UNKNOWN

"""Letters of before the state was lost: `replay` keeps them, unless it is told otherwise."""

from __future__ import annotations

from typing import Final, Self

from worker.broker.dead_letter import DeadLetter
from worker.letters.state_epochs import epochs_of
from worker.ordering.epoch import Epochs
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
    """Holds back letters of another state than the present one, and counts them. `settings` say
    where that is kept, None for nowhere; `is_off`: the operator wants them replayed all the same.
    """

    def __init__(self, settings: WorkerSettings | None, *, is_off: bool) -> None:
        self._settings = settings
        self._is_known = False
        self._is_off = is_off
        self._epochs: Epochs | None = None
        self.held_back = 0

    @classmethod
    async def of(cls, settings: WorkerSettings, *, is_off: bool) -> Self:
        """The guard by the workers' store. Raises as `begin_pass`."""
        guard = cls(settings, is_off=is_off)
        await guard.begin_pass()
        return guard

    @classmethod
    def off(cls) -> Self:
        """A guard that holds no letter back."""
        return cls(None, is_off=True)

    async def begin_pass(self) -> None:
        """Count anew, by the store as it is now: it may have been lost since the last pass. Raises
        `BrokerAway` and `UnusableSetting`.
        """
        self.held_back = 0
        if self._settings is None:
            return
        async with epochs_of(self._settings) as epochs:
            self._is_known = epochs is not None
            self._epochs = await epochs.read() if epochs is not None else None

    @property
    def epoch(self) -> str | None:
        """The epoch of the store, None where that is not known."""
        return None if self._epochs is None else self._epochs.present

    def holds_back(self, letter: DeadLetter) -> bool:
        """Whether the letter is to stay, which is counted."""
        is_held = not self._is_off and self._is_of_before(letter)
        self.held_back += is_held
        return is_held

    def _is_of_before(self, letter: DeadLetter) -> bool:
        if letter.epoch is not None:
            return letter.epoch != self.epoch
        # RabbitMQ has made it of an event as it came, or a worker without such a store, or of a
        # version before. Where no state was lost, such letters are of before there was one.
        if self._epochs is None or not self._epochs.losses or letter.dead_at_ms is None:
            return False
        return letter.dead_at_ms < self._epochs.began_ms

    @property
    def reason(self) -> str:
        """Why letters are held back, after their number."""
        return _LOST if self._is_known else _UNKNOWN

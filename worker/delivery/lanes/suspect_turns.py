"""Which lanes may have the one place in which a worker handles suspects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

QUICK_SECONDS: Final = 0.5
"""A suspect that held the place no longer than this is followed by the next one at once."""
TURN_SECONDS: Final = 5.0
"""When the quick suspects of a lane have held the place for so long, it rests as long, and as many
times as long as lanes rest: a thousand of them must not go before one of another customer."""
_REST_FACTOR: Final = 10
"""A lane rests so many times as long as its suspect held the place, and as many times again as
lanes rest: all that are slow have a tenth of the place together, however many they are."""


class SuspectTurns:
    """Whose turn it is in the one place for suspects; `clock` gives seconds. A suspect of a lane
    that rests is parked, and has a turn later.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rests: dict[str, float] = {}
        self._turns: dict[str, float] = {}

    def is_resting(self, integration_id: str) -> bool:
        """Whether a lane may not have the place for suspects now."""
        return self._clock() < self._rests.get(integration_id, 0.0)

    def held(self, integration_id: str, seconds: float) -> None:
        """A suspect of a lane has held the place for so long."""
        now = self._clock()
        self._rests = {one: until for one, until in self._rests.items() if until > now}
        lanes = len(self._rests.keys() | {integration_id})
        if seconds > QUICK_SECONDS:
            self._rest(integration_id, now + _REST_FACTOR * seconds * lanes)
            return
        turn = self._turns[integration_id] = self._turns.get(integration_id, 0.0) + seconds
        if turn >= TURN_SECONDS:
            self._rest(integration_id, now + TURN_SECONDS * lanes)

    def _rest(self, integration_id: str, until: float) -> None:
        self._rests[integration_id] = until
        self._turns.pop(integration_id, None)

"""How often somebody may show the console a wrong key: whoever guesses has to wait.

A right one is never refused for that: behind a proxy all come from its address, so who guesses
would lock out everybody. No number of guesses finds a key of 32 characters; what is bounded is how
much of the log, and of an answer, whoever guesses gets.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

TRIES: Final = 5
"""Wrong keys of one address in a minute."""
TRIES_OF_ALL: Final = 50
"""Of all addresses together, since one guesser may have many."""
WINDOW_SECONDS: Final = 60.0
_MOST_ADDRESSES: Final = 4_096


class LoginTries:
    """Counts wrong keys that the console is shown. `clock` is in seconds and never goes back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._by_address: OrderedDict[str, list[float]] = OrderedDict()
        self._of_all: list[float] = []

    def left(self, address: str) -> int:
        """How many tries to sign in this address has now."""
        now = self._clock()
        mine = _lately(self._by_address.get(address, []), now)
        self._of_all = _lately(self._of_all, now)
        return max(0, min(TRIES - len(mine), TRIES_OF_ALL - len(self._of_all)))

    def wait_seconds(self, address: str) -> float:
        """Seconds until an address has a try to sign in again; 0 where it has."""
        if self.left(address):
            return 0.0
        mine = self._by_address.get(address, [])
        oldest = mine[0] if len(mine) >= TRIES else self._of_all[0]
        return max(0.0, oldest + WINDOW_SECONDS - self._clock())

    def failed(self, address: str) -> None:
        """A wrong key of the console came from this address."""
        now = self._clock()
        mine = _lately(self._by_address.pop(address, []), now)
        self._by_address[address] = [*mine, now][-TRIES:]
        self._of_all = [*_lately(self._of_all, now), now][-TRIES_OF_ALL:]
        if len(self._by_address) > _MOST_ADDRESSES:
            self._by_address.popitem(last=False)


def _lately(times: list[float], now: float) -> list[float]:
    return [one for one in times if now - one < WINDOW_SECONDS]

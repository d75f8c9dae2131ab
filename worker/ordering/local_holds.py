"""Which users this process holds: known at once, and not when a store has answered.

A store is asked by many rounds at a time. It may answer in any order, and Redis grants whatever
the same owner asks for again, so two rounds could both be granted one user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from worker.ordering.store_protocol import Contended


class _Hold(NamedTuple):
    lease: int
    until: float


class Holds:
    """The users that this process holds, each by a lease of `lease_seconds` at most; `clock` is
    monotonic, in seconds.
    """

    def __init__(self, lease_seconds: float, clock: Callable[[], float]) -> None:
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._last_lease = 0
        # In order of their end, since all leases are equally long.
        self._holds: dict[tuple[str, str], _Hold] = {}

    def __len__(self) -> int:
        return len(self._holds)

    def new_lease(self) -> int:
        """The number of a lease that nobody has had."""
        now = self._clock()
        while self._holds:
            oldest = next(iter(self._holds))
            if self._holds[oldest].until > now:
                break
            del self._holds[oldest]
        self._last_lease += 1
        return self._last_lease

    def take(self, state_id: str, user: str, lease: int) -> Contended | None:
        """Hold a user by `lease`, also once more; or who is held by another one, and how long."""
        now = self._clock()
        hold = self._holds.setdefault((state_id, user), _Hold(lease, now + self._lease_seconds))
        return None if hold.lease == lease else Contended(hold.until - now, is_held=True)

    def is_anothers(self, state_id: str, user: str, lease: int) -> bool:
        """Whether somebody holds the user by another lease."""
        hold = self._holds.get((state_id, user))
        return hold is not None and hold.lease != lease and hold.until > self._clock()

    def let_go(self, state_id: str, users: Iterable[str], lease: int) -> None:
        """Hold these users no more by `lease`; whom another one holds stays held."""
        for user in users:
            key = (state_id, user)
            hold = self._holds.get(key)
            if hold is not None and hold.lease == lease:
                del self._holds[key]
